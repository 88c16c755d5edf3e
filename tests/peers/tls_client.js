// SPDX-License-Identifier: GPL-3.0-or-later
// tls_client - Node.js's many TLS connections, with its own HTTP/1.1 and HTTP/2: see tls_client.py.

const fs = require('fs'), http = require('http'), http2 = require('http2'), tls = require('tls');
const folder = process.argv[2];

function connect(port, version, offer) {
	const options = {host: '127.0.0.1', port, servername: 'localhost', minVersion: 'TLSv' + version.replace('1.0', '1'),
		maxVersion: 'TLSv' + version.replace('1.0', '1')};
	if (version < '1.2') options.ciphers = 'DEFAULT:@SECLEVEL=0';
	if (offer !== '-') options.ALPNProtocols = offer.split(',');
	return new Promise((resolve, reject) => {
		const socket = tls.connect(options, () => resolve(socket));
		socket.once('error', reject);
	});
}

function gather(stream, resolve, reject) {
	const parts = [];
	stream.on('data', part => parts.push(part));
	stream.on('end', () => resolve(Buffer.concat(parts)));
	stream.on('error', reject);
}

function ask(socket) {
	return new Promise((resolve, reject) => {
		if (socket.alpnProtocol !== 'h2') {
			http.get({path: '/body', headers: {Host: 'localhost'}, createConnection: () => socket},
				answer => gather(answer, resolve, reject)).on('error', reject);
			return;
		}
		const session = http2.connect('https://localhost', {createConnection: () => socket});
		session.on('error', reject);
		gather(session.request({':path': '/body'}), body => { session.close(); resolve(body); }, reject);
	});
}

async function main() {
	for (const line of fs.readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
		const [n, port, version, offer] = line.split(' ');
		try {
			const socket = await connect(Number(port), version, offer);
			const agreed = `${socket.getProtocol()} ${socket.alpnProtocol || '-'}`;
			fs.writeFileSync(`${folder}/${n}`, await ask(socket));
			socket.destroy();
			console.log(`${n} ${agreed}`);
		} catch (error) {
			console.log(`${n} failed ${error.code || error.message}`);
		}
	}
}
main();
