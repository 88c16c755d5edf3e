// SPDX-License-Identifier: GPL-3.0-or-later
// TlsClient - many TLS connections of Java's HttpClient: see tls_client.py.
//
// HttpClient does not tell ALPN's answer, only the HTTP version that came of it; and
// it offers either "h2,http/1.1" or nothing.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Scanner;
import javax.net.ssl.SSLParameters;

class TlsClient {
	public static void main(String[] arguments) throws Exception {
		Scanner cells = new Scanner(System.in);
		while (cells.hasNext()) {
			String n = cells.next(), port = cells.next(), version = cells.next(), offer = cells.next();
			SSLParameters parameters = new SSLParameters();
			parameters.setProtocols(new String[] { "TLSv" + version.replace("1.0", "1") });
			HttpClient client = HttpClient.newBuilder().sslParameters(parameters)
				.version(offer.equals("-") ? HttpClient.Version.HTTP_1_1 : HttpClient.Version.HTTP_2).build();
			try {
				HttpResponse<byte[]> answer = client.send(
					HttpRequest.newBuilder(URI.create("https://localhost:" + port + "/body")).build(),
					HttpResponse.BodyHandlers.ofByteArray());
				Files.write(Path.of(arguments[0], n), answer.body());
				System.out.println(n + " " + answer.sslSession().get().getProtocol() + " " +
					(answer.version() == HttpClient.Version.HTTP_2 ? "h2" : "-"));
			} catch (java.io.IOException error) {
				System.out.println(n + " failed " + error.getMessage());
			}
		}
		System.out.flush();
		System.exit(0);
	}
}
