#!/usr/bin/env python3
"""decisions - the decision table of access control, row by row beside metrics-server.

  decisions.py --a URL --b URL --down-a URL --down-b URL --pki DIR

A is metrics-server, B the server under test; `--down-*` are the same programs whose TokenReviews find nobody. Every row is one
combination of peer certificate, identity headers and Authorization; both servers must give the same status and body.
Each row asks for a namespace of its own, so that no remembered verdict answers. The certificates are made with openssl in
DIR/decisions under the cluster's own authorities. Prints what differs; the last line counts the rows. Exit status 1 if any differs.
Needs Python 3.9, openssl, and rights for alice (parity/rbac.yaml).
"""
import argparse, json, os, socket, ssl, subprocess, sys, urllib.parse

PROXY = "/CN=front-proxy-client"
BOB = "/O=dev/O=ops/CN=bob"
PAST, NOW, FUTURE = ("20200101000000Z", "20240101000000Z"), ("20200101000000Z", "20900101000000Z"), ("20800101000000Z", "20900101000000Z")
CLIENT, SERVER, ANY = "extendedKeyUsage=clientAuth", "extendedKeyUsage=serverAuth", "extendedKeyUsage=anyExtendedKeyUsage"
IS_CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign"
CRITICAL = CLIENT + "\n1.2.3.4.5=critical,ASN1:NULL"
UID = "/1.3.6.1.4.1.57683.2="

# name, authority, subject, extensions (None: version 1), validity, key, certificates sent after it
CERTIFICATES = [
    ("front proxy", "front-proxy-ca", PROXY, CLIENT, NOW, "P-256", []),
    ("front proxy, wrong name", "front-proxy-ca", "/CN=other", CLIENT, NOW, "P-256", []),
    ("front proxy, no name", "front-proxy-ca", "/O=dev", CLIENT, NOW, "P-256", []),
    ("front proxy, two names", "front-proxy-ca", "/CN=other" + PROXY, CLIENT, NOW, "P-256", []),
    ("front proxy, expired", "front-proxy-ca", PROXY, CLIENT, PAST, "P-256", []),
    ("front proxy, not yet valid", "front-proxy-ca", PROXY, CLIENT, FUTURE, "P-256", []),
    ("front proxy, for servers", "front-proxy-ca", PROXY, SERVER, NOW, "P-256", []),
    ("front proxy, critical extension", "front-proxy-ca", PROXY, CRITICAL, NOW, "P-256", []),
    ("front proxy, version 1", "front-proxy-ca", PROXY, None, NOW, "P-256", []),
    ("client", "cluster-ca", BOB, CLIENT, NOW, "P-256", []),
    ("client, no usage stated", "cluster-ca", BOB, "keyUsage=digitalSignature", NOW, "P-256", []),
    ("client, any usage", "cluster-ca", BOB, ANY, NOW, "P-256", []),
    ("client, expired", "cluster-ca", BOB, CLIENT, PAST, "P-256", []),
    ("client, not yet valid", "cluster-ca", BOB, CLIENT, FUTURE, "P-256", []),
    ("client, for servers", "cluster-ca", BOB, SERVER, NOW, "P-256", []),
    ("client, critical extension", "cluster-ca", BOB, CRITICAL, NOW, "P-256", []),
    ("client, version 1", "cluster-ca", BOB, None, NOW, "P-256", []),
    ("client with the front proxy's name", "cluster-ca", PROXY, CLIENT, NOW, "P-256", []),
    ("client without a name", "cluster-ca", "/O=dev", CLIENT, NOW, "P-256", []),
    ("client with a UID", "cluster-ca", BOB + UID + "u-1", CLIENT, NOW, "P-256", []),
    ("client with two UIDs", "cluster-ca", BOB + UID + "u-1" + UID + "u-2", CLIENT, NOW, "P-256", []),
    ("master", "cluster-ca", "/O=system:masters/CN=root", CLIENT, NOW, "P-256", []),
    ("other", "other-ca", BOB, CLIENT, NOW, "P-256", []),
    ("other CA with the front proxy's name", "other-ca", PROXY, CLIENT, NOW, "P-256", []),
    ("other CA, CA sent", "other-ca", BOB, CLIENT, NOW, "P-256", ["other-ca"]),
    ("CA issued by the client CA", "cluster-ca", "/CN=sub-ca", IS_CA, NOW, "P-256", []),
    ("client, intermediate sent", "CA issued by the client CA", BOB, CLIENT, NOW, "P-256", ["CA issued by the client CA"]),
    ("client, intermediate not sent", "CA issued by the client CA", BOB, CLIENT, NOW, "P-256", []),
    ("CA issued by an intermediate", "CA issued by the client CA", "/CN=sub-sub-ca", IS_CA, NOW, "P-256", ["CA issued by the client CA"]),
    ("client, RSA 2048", "cluster-ca", BOB, CLIENT, NOW, "RSA-2048", []),
    ("client, RSA 1024", "cluster-ca", BOB, CLIENT, NOW, "RSA-1024", []),
    ("client, P-384", "cluster-ca", BOB, CLIENT, NOW, "P-384", []),
    ("client, P-521", "cluster-ca", BOB, CLIENT, NOW, "P-521", []),
    ("client, Ed25519", "cluster-ca", BOB, CLIENT, NOW, "ED25519", []),
    ("client, signed with SHA-1", "cluster-ca", BOB, CLIENT, NOW, "P-256 sha1", []),
    ("client, signed with SHA-512", "cluster-ca", BOB, CLIENT, NOW, "P-256 sha512", []),
    ("client, several usages and names", "cluster-ca", BOB, "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:bob.example,email:bob@example", NOW, "P-256", []),
    ("front proxy, intermediate", "front-proxy-ca", "/CN=proxy-sub-ca", IS_CA, NOW, "P-256", []),
    ("front proxy, intermediate sent", "front proxy, intermediate", PROXY, CLIENT, NOW, "P-256", ["front proxy, intermediate"]),
    ("expired intermediate", "cluster-ca", "/CN=expired-ca", IS_CA, PAST, "P-256", []),
    ("client, expired intermediate sent", "expired intermediate", BOB, CLIENT, NOW, "P-256", ["expired intermediate"]),
    ("intermediate for servers", "cluster-ca", "/CN=server-ca", IS_CA + "\n" + SERVER, NOW, "P-256", []),
    ("client, intermediate for servers sent", "intermediate for servers", BOB, CLIENT, NOW, "P-256", ["intermediate for servers"]),
    ("client, issued by a client", "client", BOB, CLIENT, NOW, "P-256", ["client"]),
    ("intermediate that ends chains", "cluster-ca", "/CN=last-ca", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign", NOW, "P-256", []),
    ("client, right below it", "intermediate that ends chains", BOB, CLIENT, NOW, "P-256", ["intermediate that ends chains"]),
    ("intermediate below it", "intermediate that ends chains", "/CN=too-deep-ca", IS_CA, NOW, "P-256", []),
    ("client, too deep", "intermediate below it", BOB, CLIENT, NOW, "P-256", ["intermediate below it", "intermediate that ends chains"]),
    ("intermediate that may not sign", "cluster-ca", "/CN=silent-ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=digitalSignature", NOW, "P-256", []),
    ("client, below it", "intermediate that may not sign", BOB, CLIENT, NOW, "P-256", ["intermediate that may not sign"]),
    ("intermediate for names", "cluster-ca", "/CN=names-ca", IS_CA + "\nnameConstraints=critical,permitted;DNS:good.example", NOW, "P-256", []),
    ("client, no name to constrain", "intermediate for names", BOB, CLIENT, NOW, "P-256", ["intermediate for names"]),
    ("client, name within", "intermediate for names", BOB, CLIENT + "\nsubjectAltName=DNS:a.good.example", NOW, "P-256", ["intermediate for names"]),
    ("client, name outside", "intermediate for names", BOB, CLIENT + "\nsubjectAltName=DNS:a.bad.example", NOW, "P-256", ["intermediate for names"]),
]
# Authorities shown as if they were somebody, and no certificate at all.
THEMSELVES = ["front-proxy-ca", "cluster-ca", "other-ca"]
# Where B is meant to be stricter than A: it answers as A answers this other peer, or it refuses the handshake.
DEVIATIONS = {
    "client, RSA 1024": ("RSA keys below 2048 bits are refused, in the handshake", None),
    "client, P-521": ("P-521 in clients' certificates is not offered, so a client keeps its certificate to itself", "none"),
    "client, signed with SHA-512": ("a certificate signed with ECDSA and SHA-512 is refused", "other"),
    "client, version 1": ("a client's certificate of X.509 version 1 is refused", "other"),
    "front proxy, version 1": ("a client's certificate of X.509 version 1 is refused", "other"),
    "cluster-ca": ("a CA certificate is refused as a client's", "other"),
    "front-proxy-ca": ("a CA certificate is refused as a client's", "other"),
}
# A certificate of a CA shown as a client's: A takes it from an authority that issued it, B never.
DEVIATIONS.update({
    peer: ("a CA certificate is refused as a client's", "other")
    for peer, _, _, extensions, _, _, _ in CERTIFICATES
    if extensions and (IS_CA in extensions or "CA:TRUE" in extensions)
})

ALICE = "X-Remote-User: alice"
HEADERS = [
    ("none", []),
    ("empty user", ["X-Remote-User: "]),
    ("empty first user", ["X-Remote-User: ", ALICE]),
    ("groups without a user", ["X-Remote-Group: system:masters"]),
    ("user", [ALICE]),
    ("another user", ["X-Remote-User: zoe"]),
    ("two users", [ALICE, "X-Remote-User: root"]),
    ("user and groups", ["X-Remote-User: zoe", "X-Remote-Group: a", "X-Remote-Group: ", "X-Remote-Group: b, c"]),
    ("masters", ["X-Remote-User: root", "X-Remote-Group: system:masters"]),
    ("odd case", ["x-REMOTE-user: zoe", "X-remote-GROUP: system:masters"]),
    ("extra", [ALICE, "X-Remote-Extra-Scopes: b", "x-remote-extra-Acme.io%2fKey: x", "X-Remote-Extra-%zz: odd"]),
    ("uid", [ALICE, "X-Remote-Uid: u-1", "X-Remote-Uid: u-2"]),
    ("hundreds of groups", [ALICE] + ["X-Remote-Group: group-%d" % n for n in range(300)]),
    ("anonymous", ["X-Remote-User: system:anonymous"]),
]


def openssl(*args, **more):
    done = subprocess.run(("openssl",) + args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if done.returncode:
        raise SystemExit("openssl %s: %s" % (" ".join(args), done.stdout.decode()))


def make_key(path, kind):
    kind = kind.split()[0]
    if kind.startswith("RSA"):
        openssl("genrsa", "-out", path, kind[4:])
    elif kind == "ED25519":
        openssl("genpkey", "-algorithm", "ED25519", "-out", path)
    else:
        openssl("ecparam", "-name", {"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1"}[kind], "-genkey", "-noout", "-out", path)


CONFIG = """oid_section = oids
[oids]
kubernetesUid = 1.3.6.1.4.1.57683.2
[ca]
default_ca = lab
[lab]
database = index
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
email_in_dn = no
rand_serial = yes
preserve = yes
[any]
commonName = optional
organizationName = optional
kubernetesUid = optional
"""


def make_certificates(pki):
    """Every certificate as name -> (chain file, key file)."""
    folder = os.path.join(pki, "decisions")
    os.makedirs(folder, exist_ok=True)
    made = {name: (os.path.join(pki, name + ".crt"), os.path.join(pki, name + ".key")) for name in THEMSELVES}
    open(os.path.join(folder, "index"), "w").close()
    with open(os.path.join(folder, "ca.cnf"), "w") as file:
        file.write(CONFIG)
    for nth, (name, authority, subject, extensions, life, kind, sent) in enumerate(CERTIFICATES):
        at = lambda end: os.path.join(folder, "%d.%s" % (nth, end))
        make_key(at("key"), kind)
        openssl("req", "-new", "-key", at("key"), "-subj", subject, "-out", at("csr"))
        issuer, issuer_key = made[authority]
        signing = ["-in", at("csr"), "-out", at("one")]
        if extensions is None:
            openssl("x509", "-req", "-CA", issuer, "-CAkey", issuer_key, "-set_serial", str(nth + 1), "-days", "3650", *signing)
        else:
            with open(at("ext"), "w") as file:
                file.write(extensions + "\n")
            openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", issuer, "-keyfile", issuer_key, "-startdate", life[0],
                    "-enddate", life[1], "-md", (kind.split() + ["sha256"])[1], "-extfile", at("ext"), *signing, cwd=folder)
        with open(at("crt"), "w") as chain:
            for path in [at("one")] + [made[other][0] for other in sent]:
                with open(path) as file:
                    chain.write(file.read())
        made[name] = (at("crt"), at("key"))
    return made


REFUSED = (0, "")


class Server:
    """One server, asked on a kept connection as one peer."""

    def __init__(self, url, pair):
        parsed = urllib.parse.urlsplit(url)
        self.address = (parsed.hostname, parsed.port)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.context.set_ciphers("DEFAULT@SECLEVEL=0")
        self.context.set_alpn_protocols(["http/1.1"])
        if pair:
            self.context.load_cert_chain(*pair)
        self.stream = self.file = None

    def close(self):
        for end in (self.file, self.stream):
            if end:
                end.close()
        self.stream = self.file = None

    def ask(self, path, lines):
        """(status, body); the status is 0 when the handshake is refused."""
        for fresh in (self.stream is None, True):
            try:
                return self.ask_once(path, lines)
            except (OSError, EOFError):
                self.close()
                if fresh:
                    break
        return REFUSED

    def ask_once(self, path, lines):
        if self.stream is None:
            self.stream = self.context.wrap_socket(socket.create_connection(self.address, timeout=30))
            self.file = self.stream.makefile("rb")
        head = ["GET %s HTTP/1.1" % path, "Host: lab"] + lines
        self.stream.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        first = self.file.readline()
        if not first:
            raise EOFError
        headers = {}
        for line in iter(lambda: self.file.readline().decode().strip(), ""):
            key, value = line.split(":", 1)
            headers[key.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size = int(self.file.readline(), 16)
                body += self.file.read(size)
                self.file.readline()
                if size == 0:
                    break
        else:
            body = self.file.read(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return int(first.split()[1]), body.decode()


def tokens(pki):
    with open(os.path.join(pki, "sa.token")) as file:
        good = file.read().strip()
    bearer = "Authorization: Bearer "
    return [("none", []), ("empty", [bearer]), ("two blanks", [bearer + " " + good]), ("basic", ["Authorization: Basic Ym9iOmJvYg=="]),
            ("good", [bearer + good]), ("bad", [bearer + "bm90LWEtdG9rZW4.not.valid"])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--a", "--b", "--down-a", "--down-b", "--pki"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    certificates = dict(make_certificates(args.pki), none=None)
    up = tokens(args.pki)
    counts = {"rows": 0, "equal": 0, "deviations": 0, "different": 0}
    statuses = {}
    for peer, pair in certificates.items():
        for a, b, authorizations in ((args.a, args.b, up), (args.down_a, args.down_b, [("review down", up[4][1]), ("none, review down", [])])):
            reason, like = DEVIATIONS.get(peer, (None, None))
            other = Server(a, certificates[like]) if like else None
            a, b = Server(a, pair), Server(b, pair)
            for header, lines in HEADERS:
                for token, authorization in authorizations:
                    path = "/apis/metrics.k8s.io/v1beta1/namespaces/row-%d/pods" % counts["rows"]
                    counts["rows"] += 1
                    ours, theirs = b.ask(path, lines + authorization), a.ask(path, lines + authorization)
                    statuses[theirs[0]] = statuses.get(theirs[0], 0) + 1
                    if ours == theirs:
                        counts["equal"] += 1
                    elif reason and ours == (other.ask(path, lines + authorization) if other else REFUSED):
                        counts["deviations"] += 1
                    else:
                        counts["different"] += 1
                        print("DIFF %s / %s / %s\n  a: %s\n  b: %s" % (peer, header, token, theirs, ours))
            for server in filter(None, (a, b, other)):
                server.close()
    print("metrics-server's statuses: " + ", ".join("%d x %s" % (n, status or "no handshake") for status, n in sorted(statuses.items())))
    for peer, (reason, _) in DEVIATIONS.items():
        print("deviation: %s: %s" % (peer, reason))
    print("decisions: %(rows)d rows, %(equal)d equal, %(deviations)d deviations (each with its reason), %(different)d different" % counts)
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
