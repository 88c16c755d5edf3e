# SPDX-License-Identifier: GPL-3.0-or-later
# test_starttls - conversations that begin in the clear and turn to TLS, with the servers and
# clients that people use.

import contextlib
import os

from e2e import wireshark
from e2e.scenario import only
from peers import services

# Where the command finds whom to trust: apptap tells it, or (straight) the scenario.
BUNDLE = '"${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"'


def shell(text):
    return ["sh", "-c", text.replace("BUNDLE", BUNDLE)]


def both(t, command, limit=40, stdin=None, **kw):
    """Straight and in apptap: the same. The run in apptap."""
    straight = t.straight(command, limit, stdin=stdin, **kw).ok()
    done = t.tap(command, limit, stdin=stdin, capture=True, **kw).ok()
    t.equal(done.stdout, straight.stdout, "what it printed")
    return done


def opened(t, done, protocol, port, clear, secret):
    """It was opened, as `protocol`; the capture shows the fields `clear` before the ClientHello
    and `secret` behind it, decrypted: {field: word}."""
    flow = done.flow(protocol="tcp", destination=f"127.0.0.1:{port}")
    t.equal(flow["verdict"], "opened", f"verdict ({flow.get('reason')})")
    t.equal(flow["tls"]["starttls"], protocol, "tls.starttls")
    t.true(flow["tls"]["version"] and flow["tls"]["certificate"] == "trusted", f"TLS: {flow['tls']}")
    wireshark.sound(done.capture)
    hello = wireshark.column(done.capture, f"tcp.port == {port} && tls.handshake.type == 1", "frame.number")
    t.true(len(hello) in (1, 2), f"ClientHellos in the frames {hello}")    # 2: the origin wanted another group
    for fields, where in (clear, f"frame.number <= {hello[0]}"), (secret, f"frame.number > {hello[0]}"):
        for field, word in fields.items():
            found = wireshark.column(done.capture, f"tcp.port == {port} && {where} && {field}", field)
            t.has("\n".join(found), word)
    return flow


@only("root", "user", limit=90)
def test_postgresql(t):
    t.need("psql")
    t.keep(services.postgresql(t))
    query = "select string_agg(n::text, ' ') from generate_series(1, 50000) n"
    done = both(t, shell(f"psql -X -At 'host=localhost user=postgres sslmode=verify-full sslrootcert='BUNDLE "
                         f"-c \"{query}\""))
    t.equal(done.text.split(), [str(n) for n in range(1, 50001)], "the rows")
    opened(t, done, "postgresql", 5432, {"pgsql.type": "SSL request"}, {"pgsql.query": query})


@only("root", limit=120)
def test_mariadb(t):
    t.need("mariadb")
    t.keep(services.mariadb(t))
    done = both(t, shell("mariadb --no-defaults --protocol=tcp -h localhost -u t --ssl-verify-server-cert "
                         "--ssl-ca=BUNDLE -N -e \"select repeat('intact', 40000); select 'and more'\""))
    t.equal(done.text, "intact" * 40000 + "\nand more\n", "the rows")
    opened(t, done, "mysql", 3306, {"mysql.server_greeting": ""}, {"mysql.query": "select 'and more'"})


@only("root", limit=60)
def test_imap(t):
    folder = t.keep(services.dovecot(t))
    done = both(t, ["curl", "-sS", "--ssl-reqd", "-u", "someone:secret", "imap://localhost/INBOX;MAILINDEX=1"])
    t.equal(done.text.replace("\r", ""), services.MAIL, "the mail")
    t.true(os.listdir(f"{folder}/mail/cur"), "the mail was not seen")
    opened(t, done, "imap", 143, {"imap.request": "STARTTLS"}, {"imap.request": "FETCH 1 BODY[]"})


@only("root", limit=60)
def test_pop3(t):
    t.keep(services.dovecot(t))
    done = both(t, ["curl", "-sS", "--ssl-reqd", "-u", "someone:secret", "pop3://localhost/1"])
    t.equal(done.text.replace("\r", ""), services.MAIL, "the mail")
    opened(t, done, "pop3", 110, {"pop.request.command": "STLS"}, {"pop.request.command": "RETR"})


@only("root", limit=60)
def test_sieve(t):
    t.need("gnutls-cli")
    t.keep(services.dovecot(t, "sieve"))
    done = both(t, shell("{ printf 'CAPABILITY\\r\\nLOGOUT\\r\\n'; cat; } | "
                         "openssl s_client -quiet -starttls sieve -connect localhost:4190 -verify_return_error "
                         "-verify_hostname localhost -CAfile BUNDLE 2>/dev/null"))
    t.has(done.text, '"SIEVE"', "Logout completed")
    opened(t, done, "sieve", 4190, {}, {})


@only("root", limit=60)
def test_ldap(t):
    t.need("ldapsearch")
    t.keep(services.slapd(t))
    done = both(t, shell("LDAPTLS_CACERT=BUNDLE LDAPTLS_REQCERT=demand ldapsearch -LLL -ZZ -H ldap://127.0.0.1 "
                         "-x -D cn=admin,dc=origin,dc=test -w secret -b dc=origin,dc=test"))
    t.has(done.text, "o: The origin")
    opened(t, done, "ldap", 389, {"ldap.requestName": "1.3.6.1.4.1.1466.20037"}, {"ldap.baseObject": "dc=origin,dc=test"})


@only("root", limit=60)
def test_ftp(t):
    """The data connection, which begins with TLS, is opened too."""
    t.need("lftp")
    folder = t.keep(services.vsftpd(t))
    text = "".join(f"line {n}\n" for n in range(50000))
    with open(f"{folder}/files/file", "w") as file:
        file.write(text)
    # curl says AUTH SSL, which tshark does not know.
    t.equal(t.tap(["curl", "-sS", "--ssl-reqd", "ftp://localhost/file"]).ok().text, text, "the file by curl")
    done = both(t, shell("{ echo set ftp:ssl-force yes; echo set ftp:ssl-allow-anonymous yes; "
                         "echo set ftp:ssl-protect-data yes; echo set ssl:ca-file BUNDLE; echo set net:max-retries 1; echo cat ftp://localhost/file; } | lftp -f /dev/stdin"))
    t.equal(done.text, text, "the file")
    opened(t, done, "ftp", 21, {"ftp.request.command": "AUTH"}, {"ftp.request.command": "RETR"})
    t.equal([f["verdict"] for f in done.flows if f["destination"].startswith("127.")], ["opened"] * 2, "verdicts")
    # vsftpd's default: it takes no data from a stranger.
    data = [f for f in done.flows if f["verdict"] == "opened" and not f["destination"].endswith(":21")]
    t.true(data[0]["tls"]["origin"].get("resumed"), f"no session taken up: {data}")


@only("root", limit=60)
def test_smtp(t):
    t.need("swaks")
    folder = t.keep(services.postfix(t))
    body = "".join(f"line {n}\r\n" for n in range(2000))
    command = shell("swaks --server localhost --tls --tls-verify --tls-ca-path BUNDLE "
                    "-f a@origin.test -t b@origin.test --ehlo client.test --silent 2 --body - < \"$HOME/body\"")
    with open(f"{t.home}/body", "w", newline="") as file:
        file.write(body)
    t.straight(command).ok()
    done = t.tap(command, capture=True).ok()

    def mails():
        with contextlib.suppress(FileNotFoundError), open(f"{folder}/mail/all") as file:
            return file.read().split("\nline 0\n")[1:]
    texts = t.until(lambda: (m := mails()) and len(m) == 2 and "line 1999\n" in m[1] and m, "both mails arrive")
    for text in texts:
        t.true(("\nline 0\n" + text).count("\nline ") == 2000, "lines of the mail")
        t.has("line 0\n" + text, body.replace("\r", ""))
    opened(t, done, "smtp", 25, {"smtp.req.command": "STAR"}, {"smtp.req.command": "DATA"})
