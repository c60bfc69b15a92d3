#!/usr/bin/env python3
"""mdiff - sends the same requests to two metrics.k8s.io servers and compares the answers.

  mdiff.py --corpus FILE --a URL --b URL --pki DIR [--only REGEX] [--record DIR] [--same]

A is metrics-server, B the server under test. `--a` may also be a folder written by --record: then A's answers are read from it.
One line a case is printed (`ok ID`, `DIFF ID` and a short unified diff); the last line is `N passed, N failed`.
Exit status: 0 all passed, 1 a DIFF, 2 usage. Needs Python 3.9 and nothing else.

THE CORPUS: JSON lines; `#` starts a comment line. A case:
  id, note
  credentials  none | proxy:USER[:GROUP,GROUP] | proxy-other:USER[:GROUPS] | proxy-wrong-cn:USER[:GROUPS] | proxy-no-user
               | cert:NAME (DIR/NAME.crt, .key) | token:NAME (DIR/NAME.token) | token:bad | token:empty | basic
               A `+` joins two (proxy-other:x+token:sa). In USER and GROUP, %XX is decoded: write %3A for a colon, %2B for a plus.
               proxy:... sends X-Remote-User and one X-Remote-Group line a group under the certificate front-proxy-client.
  method (GET), path (with the query, sent byte for byte), headers (list of "Name: value", sent in order; {long:N} = N letters;
               "*N Name: value{n}" = N lines, {n} counts from 0), body
  steps        list of {method,path,headers,body}: sent one after the other on ONE connection; {etag} in a header = ETag of the answer before
  raw          text sent as it is instead of a request (\\r\\n written out)
  tls          {"alpn": [...], "max": "TLSv1.2"}: only the handshake is compared (protocol version floor, chosen ALPN protocol)
  compare      full (default) | status | headers (status and headers) | json-shape (headers, and the same keys and types)
               | {"contains": ["text", ...]} (status, headers, and each text is in both bodies)
  ignore_headers  names of headers that this case does not compare
  deviation    words: B is meant to differ from metrics-server. B is then checked against b_expect, not against A.
  b_expect, a_expect  {"status": n or [n, ...], "headers": {"name": "value" | null (absent) | "*" (present)}, "contains": [...], "lacks": [...],
               "json": value (the normalised body, exactly), "like": {a request; fields left out are those of the case}, "replace": [[old, new], ...]}
               `like`: the request is sent to A, and B must answer the case as A answers it, after the replacements in A's normalised text.
               a_expect is checked on A (it keeps the corpus honest). With --same, or one URL for both, b_expect is not checked.

WHAT IS COMPARED
  status code; Content-Type, Vary, Cache-Control, Retry-After, Allow, Location, WWW-Authenticate, Warning,
  Content-Encoding by value (Vary as a set); ETag, Last-Modified, Expires by presence (ETag: quoted or not); Audit-Id: the one sent comes back, else a UUID;
  names of all other headers. Not compared: Date, Content-Length, Transfer-Encoding, Connection, header order.
  Body, after normalisation (values are replaced only if WELL-FORMED; else they turn into <BAD ...> and will differ):
    creationTimestamp of metrics objects -> <now>    RFC 3339, whole seconds, Z, and the time of the request within --skew seconds
    timestamp                            -> <time>   RFC 3339, whole seconds, Z
    window                               -> <window> exactly as Go's Duration.String prints it, above zero
    usage.cpu                            -> <cpu>    canonical Quantity, DecimalSI, no finer than n
    usage.memory, usage.swap             -> <memory>, <swap>  canonical Quantity, BinarySI (DecimalSI under 1024), whole bytes
    Table cells of the columns cpu, memory, swap, Window: the same
    serverAddress of /apis               -> <port>   a colon and the port
    containers inside a pod              -> sorted by name
  JSON: key order counts; layout counts (compact or 2-space pretty, newline at the end or not). YAML: scalar types count, layout and order of keys
  do not. Protobuf: magic k8s\\0, typeMeta, decoded fields (zero values and empty messages = absent; unknown fields and Time nanos are shown).
  Status, in any encoding: code, reason, details but for messages (causes: reason and field); its words and layout are not compared.
  Warnings (never a DIFF): numbers far apart at about the same sample time, samples older than 2 minutes, < > & escaped differently.
  200 answers of the metrics group are asked again (twice at most) when they differ: pods come and go, scrapes happen in between.
"""
import argparse, calendar, concurrent.futures, difflib, gzip, json, os, re, socket, ssl, sys, time, urllib.parse, warnings
from fractions import Fraction

BAD_TOKEN = "bm90LWEtdG9rZW4.not.valid"
VALUE_HEADERS = ["content-type", "vary", "cache-control", "retry-after", "allow", "location", "www-authenticate",
                 "warning", "content-encoding"]
PRESENCE_HEADERS = ["etag", "last-modified", "expires"]
IGNORED_HEADERS = ["date", "content-length", "transfer-encoding", "connection", "audit-id", "x-content-type-options"]
USAGE = ("cpu", "memory", "swap")


# ---------------------------------------------------------------- transport
class Answer:
    """One answer: status, reason, headers [(name, value)], body (dechunked, decompressed), error, and the time window of the exchange."""

    def __init__(self):
        self.status, self.reason, self.headers, self.body, self.error, self.note = 0, "", [], b"", "", ""
        self.t0 = self.t1 = time.time()
        self.sent_audit = None
        self.wire_body = b""

    def get(self, name):
        return [v for k, v in self.headers if k.lower() == name]

    def first(self, name):
        v = self.get(name)
        return v[0] if v else None


class Credentials:
    def __init__(self, text, pki):
        self.cert, self.headers = None, []
        for part in text.split("+"):
            kind, _, rest = part.partition(":")
            if kind == "none":
                pass
            elif kind in ("proxy", "proxy-other", "proxy-wrong-cn"):
                self.cert = {"proxy": "front-proxy-client", "proxy-other": "front-proxy-other", "proxy-wrong-cn": "front-proxy-wrong-cn"}[kind]
                user, _, groups = rest.partition(":")
                self.headers.append(("X-Remote-User", urllib.parse.unquote(user)))
                self.headers += [("X-Remote-Group", urllib.parse.unquote(g)) for g in groups.split(",") if g]
            elif kind == "proxy-no-user":
                self.cert = "front-proxy-client"
            elif kind == "cert":
                self.cert = rest
            elif kind == "token":
                token = {"bad": BAD_TOKEN, "empty": ""}.get(rest)
                if token is None:
                    with open(os.path.join(pki, rest + ".token")) as f:
                        token = f.read().strip()
                self.headers.append(("Authorization", "Bearer " + token))
            elif kind == "basic":
                self.headers.append(("Authorization", "Basic YWxpY2U6c2VjcmV0"))
            else:
                raise ValueError("unknown credentials %r" % part)


def expand(headers):
    for h in headers:
        m = re.match(r"\*(\d+) (.*)$", h, re.S)
        for n in range(int(m.group(1)) if m else 1):
            yield m.group(2).replace("{n}", str(n)) if m else h


class Reader:
    def __init__(self, sock):
        self.sock, self.buf = sock, b""

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("connection closed")
        self.buf += data

    def line(self):
        while b"\n" not in self.buf:
            self.fill()
        line, self.buf = self.buf.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def take(self, n):
        while len(self.buf) < n:
            self.fill()
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def rest(self):
        try:
            while True:
                self.fill()
        except (EOFError, OSError):
            out, self.buf = self.buf, b""
            return out


def read_answer(reader, method, answer):
    while True:
        m = re.match(r"HTTP/1\.[01] (\d{3}) ?(.*)$", reader.line())
        if not m:
            raise EOFError("no HTTP/1.x status line")
        answer.status, answer.reason, answer.headers = int(m.group(1)), m.group(2), []
        while True:
            line = reader.line()
            if not line:
                break
            k, _, v = line.partition(":")
            answer.headers.append((k, v.strip()))
        if answer.status >= 200:
            break
    if method == "HEAD" or answer.status in (204, 304):
        body = b""
    elif (answer.first("transfer-encoding") or "").lower() == "chunked":
        body = b""
        while True:
            n = int(reader.line().split(";")[0], 16)
            if n == 0:
                while reader.line():
                    pass
                break
            body += reader.take(n)
            reader.line()
    elif answer.first("content-length") is not None:
        body = reader.take(int(answer.first("content-length")))
    else:
        body = reader.rest()
    answer.wire_body = answer.body = body
    if (answer.first("content-encoding") or "") == "gzip":
        answer.body = gzip.decompress(body) if body else b""
    answer.t1 = time.time()


class Server:
    def __init__(self, url, pki, timeout):
        u = urllib.parse.urlsplit(url)
        self.host, self.port, self.pki, self.timeout = u.hostname, u.port or 443, pki, timeout
        self.contexts = {}

    def connect(self, cert, alpn=("http/1.1",), tls_max=None):
        key = (cert, tuple(alpn), tls_max)
        if key not in self.contexts:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
            if tls_max:
                warnings.simplefilter("ignore", DeprecationWarning)
                ctx.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
                ctx.maximum_version = getattr(ssl.TLSVersion, tls_max.replace(".", "_"))
            if alpn:
                ctx.set_alpn_protocols(list(alpn))
            if cert:
                base = os.path.join(self.pki, cert)
                ctx.load_cert_chain(base + ".crt", base + ".key")
            self.contexts[key] = ctx
        s = socket.create_connection((self.host, self.port), self.timeout)
        return self.contexts[key].wrap_socket(s, server_hostname="localhost")

    def send(self, case):
        """All answers of a case, in order."""
        if "tls" in case:
            return [self.handshake(case["tls"])]
        cred = Credentials(case.get("credentials", "none"), self.pki)
        answers, sock, etag = [], None, ""
        try:
            sock = self.connect(cred.cert)
            reader = Reader(sock)
            for step in case.get("steps") or [case]:
                answer = Answer()
                answers.append(answer)
                method = step.get("method", "GET")
                if "raw" in step:
                    data = step["raw"].encode("latin-1")
                    method = data.split(b" ", 1)[0].decode("latin-1")
                else:
                    headers = list(cred.headers)
                    for h in expand(step.get("headers", [])):
                        k, _, v = h.partition(":")
                        v = re.sub(r"\{long:(\d+)\}", lambda m: "a" * int(m.group(1)), v.strip()).replace("{etag}", etag)
                        headers.append((k, v))
                        if k.lower() == "audit-id" and answer.sent_audit is None:
                            answer.sent_audit = v
                    body = step.get("body", "").encode()
                    if body or method in ("POST", "PUT", "PATCH"):
                        headers.append(("Content-Length", str(len(body))))
                    lines = ["%s %s HTTP/1.1" % (method, step["path"])]
                    if not any(k.lower() == "host" for k, _ in headers):
                        lines.append("Host: %s:%d" % (self.host, self.port))
                    lines += ["%s: %s" % h for h in headers]
                    data = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8") + body
                answer.t0 = time.time()
                sock.sendall(data)
                read_answer(reader, method, answer)
                etag = answer.first("etag") or ""
        except (OSError, EOFError, ValueError) as e:
            if not answers or answers[-1].status:
                answers.append(Answer())
            answers[-1].error = "no connection" if sock is None else "closed" if isinstance(e, (EOFError, ConnectionError)) else "%s: %s" % (type(e).__name__, getattr(e, "reason", None) or e)
        finally:
            if sock:
                sock.close()
        return answers

    def handshake(self, tls):
        answer = Answer()
        try:
            s = self.connect(None, tls.get("alpn", []), tls.get("max"))
            answer.body = ("alpn=%s tls=%s\n" % (s.selected_alpn_protocol(), s.version())).encode()
            answer.status = 200
            s.close()
        except ConnectionRefusedError:
            answer.error = "no connection"
        except OSError:
            answer.error = "handshake refused"
        return answer


class Recorded:
    """A's answers from a --record folder."""

    def __init__(self, folder):
        self.folder = folder

    def send(self, case):
        path = os.path.join(self.folder, case.get("recorded_as", case["id"]) + ".http")
        if not os.path.exists(path):
            return None
        with open(path, "rb") as f:
            data = f.read()
        answers = []
        for chunk in data.split(b"\n--- next answer on the same connection ---\n"):
            head, _, body = chunk.partition(b"\n\n")
            lines = head.decode("latin-1").split("\n")
            a = Answer()
            m = re.match(r"HTTP/1\.1 (\d+) ?(.*)$", lines[0])
            if m:
                a.status, a.reason = int(m.group(1)), m.group(2)
            else:
                a.error = lines[0]
            a.headers = [(l.partition(":")[0], l.partition(":")[2].strip()) for l in lines[1:]]
            a.body = body
            d = a.first("date")
            if d:
                a.t0 = a.t1 = calendar.timegm(time.strptime(d, "%a, %d %b %Y %H:%M:%S %Z"))
            a.sent_audit = next((h.partition(":")[2].strip() for h in case.get("headers", []) if h.lower().startswith("audit-id:")), None)
            answers.append(a)
        return answers


def record(folder, name, answers):
    os.makedirs(folder, exist_ok=True)
    out = []
    for a in answers:
        head = ["HTTP/1.1 %d %s" % (a.status, a.reason)] if a.status else [a.error]
        head += ["%s: %s" % h for h in a.headers]
        out.append("\n".join(head).encode("latin-1") + b"\n\n" + a.body)
    if sum(map(len, out)) > 60000:
        return
    with open(os.path.join(folder, name + ".http"), "wb") as f:
        f.write(b"\n--- next answer on the same connection ---\n".join(out))


# ---------------------------------------------------------------- values
def parse_time(s):
    """Unix seconds of a whole-second RFC 3339 UTC time, or None."""
    if isinstance(s, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", s):
        try:
            return calendar.timegm(time.strptime(s, "%Y-%m-%dT%H:%M:%SZ"))
        except ValueError:
            pass
    return None


def go_duration(ns):
    """Go's time.Duration.String()."""
    if ns == 0:
        return "0s"
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)

    def frac(value, unit):
        whole, part = divmod(value, unit)
        text = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0")
        return str(whole) + ("." + text if text else "")
    if ns < 1000:
        return "%s%dns" % (sign, ns)
    if ns < 10 ** 6:
        return sign + frac(ns, 10 ** 3) + "\u00b5s"
    if ns < 10 ** 9:
        return sign + frac(ns, 10 ** 6) + "ms"
    h, rest = divmod(ns, 3600 * 10 ** 9)
    m, s = divmod(rest, 60 * 10 ** 9)
    return sign + ("%dh" % h if h else "") + ("%dm" % m if h or m else "") + frac(s, 10 ** 9) + "s"


def parse_duration(s):
    units = {"h": 3600 * 10 ** 9, "m": 60 * 10 ** 9, "s": 10 ** 9, "ms": 10 ** 6, "\u00b5s": 1000, "ns": 1}
    if not isinstance(s, str) or not re.fullmatch(r"-?(\d+(\.\d+)?(h|ms|m|s|\u00b5s|ns))+", s):
        return None
    total = sum((Fraction(n) * units[u] for n, _, u in re.findall(r"(\d+(\.\d+)?)(h|ms|m|s|\u00b5s|ns)", s)), Fraction(0))
    return int(total) if total.denominator == 1 else None


DECIMAL = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]
BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]


def decimal_quantity(nano):
    """Canonical DecimalSI text of an integer number of nano units."""
    if nano == 0:
        return "0"
    i = 0
    while i + 1 < len(DECIMAL) and nano % 1000 == 0:
        nano //= 1000
        i += 1
    return str(nano) + DECIMAL[i]


def binary_quantity(n):
    if n < 1024:
        return decimal_quantity(n * 10 ** 9)
    i = 0
    while i + 1 < len(BINARY) and n % 1024 == 0:
        n //= 1024
        i += 1
    return str(n) + BINARY[i]


def parse_quantity(s):
    """Exact value of a quantity, or None."""
    m = re.fullmatch(r"(\d+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|)", s) if isinstance(s, str) else None
    if not m:
        return None
    suffix = m.group(2)
    scale = Fraction(1024) ** BINARY.index(suffix) if suffix.endswith("i") else Fraction(1000) ** (DECIMAL.index(suffix) - 3)
    return int(m.group(1)) * scale


def canonical(resource, s):
    """The exact value if s is the canonical text for this resource, else None."""
    v = parse_quantity(s)
    if v is None:
        return None
    if resource == "cpu":
        nano = v * 10 ** 9
        return v if nano.denominator == 1 and decimal_quantity(int(nano)) == s else None
    return v if v.denominator == 1 and binary_quantity(int(v)) == s else None


# ---------------------------------------------------------------- JSON and YAML texts
def go_json(value, pretty, html):
    if pretty:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    else:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if html:
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text


def json_layout(raw, value):
    """(layout, escaping) of a JSON text."""
    for pretty in (False, True):
        for html in (True, False):
            text = go_json(value, pretty, html)
            for end in ("\n", ""):
                if raw == text + end:
                    return ("pretty" if pretty else "compact") + (", newline at the end" if end else ", no newline at the end"), html
    return "other", None


def yaml_scalar(s):
    """A flow scalar's value; plain ones are typed as YAML 1.1 types them."""
    if s in ("{}", "[]"):
        return {} if s == "{}" else []
    if s[:1] == '"':
        return json.loads(s)
    if s[:1] == "'":
        return s[1:-1].replace("''", "'")
    if s in ("", "null", "~"):
        return None
    if s.lower() in ("true", "false", "yes", "no", "on", "off", "y", "n"):
        return s.lower() in ("true", "yes", "on", "y")
    if re.fullmatch(r"[-+]?\d+", s):
        return int(s)
    if re.fullmatch(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?", s):
        return float(s)
    return "<YAML timestamp %s>" % s if re.match(r"\d{4}-\d\d-\d\d", s) else s


def parse_yaml(text):
    """The block YAML that Kubernetes servers write."""
    lines = [l for l in text.split("\n") if l.strip()]
    pos = 0

    def indent(l):
        return len(l) - len(l.lstrip(" "))

    def scalar(first, level):
        nonlocal pos
        more = []
        while pos < len(lines) and indent(lines[pos]) > level:
            more.append(lines[pos].strip())
            pos += 1
        if re.fullmatch(r"[|>][-+]?", first):
            return ("\n" if first[0] == "|" else " ").join(more)
        return yaml_scalar(" ".join([first] + more))

    def block(level):
        nonlocal pos
        if lines[pos].lstrip().startswith("- ") or lines[pos].strip() == "-":
            items = []
            while pos < len(lines) and indent(lines[pos]) == level and lines[pos].lstrip(" ").startswith("-"):
                rest = lines[pos][level + 1:]
                if re.match(r" *[A-Za-z0-9_.~/\"'-]+:( |$)", rest):
                    lines[pos] = " " * (level + 1) + rest
                    items.append(block(indent(lines[pos])))
                else:
                    pos += 1
                    items.append(scalar(rest.strip(), level))
            return items
        out = {}
        while pos < len(lines) and indent(lines[pos]) == level and not lines[pos].lstrip(" ").startswith("- "):
            m = re.match(r' *("[^"]*"|[^ :]+(?::[^ :]+)*):( (.*))?$', lines[pos])
            if not m:
                raise ValueError("yaml line %r" % lines[pos])
            key, rest = m.group(1), m.group(3)
            pos += 1
            if rest is not None:
                out[key] = scalar(rest, level)
            elif pos < len(lines) and (indent(lines[pos]) > level or (indent(lines[pos]) == level and lines[pos].lstrip().startswith("- "))):
                out[key] = block(indent(lines[pos]))
            else:
                out[key] = None
        return out
    if not lines:
        return {}
    out = block(0)
    if pos != len(lines):
        raise ValueError("yaml line %r" % lines[pos])
    return out


# ---------------------------------------------------------------- protobuf
STR, INT, BOOL, TIME, DUR, QTY = "str", "int", "bool", "time", "dur", "qty"


class Map:
    def __init__(self, of):
        self.of = of


class Many:
    def __init__(self, of):
        self.of = of


LISTMETA = {1: ("selfLink", STR), 2: ("resourceVersion", STR), 3: ("continue", STR), 4: ("remainingItemCount", INT)}
OBJECTMETA = {1: ("name", STR), 2: ("generateName", STR), 3: ("namespace", STR), 4: ("selfLink", STR), 5: ("uid", STR), 6: ("resourceVersion", STR),
              7: ("generation", INT), 8: ("creationTimestamp", TIME), 9: ("deletionTimestamp", TIME), 10: ("deletionGracePeriodSeconds", INT),
              11: ("labels", Map(STR)), 12: ("annotations", Map(STR)), 14: ("finalizers", Many(STR))}
NODE = {1: ("metadata", OBJECTMETA), 2: ("timestamp", TIME), 3: ("window", DUR), 4: ("usage", Map(QTY))}
POD = {1: ("metadata", OBJECTMETA), 2: ("timestamp", TIME), 3: ("window", DUR), 4: ("containers", Many({1: ("name", STR), 2: ("usage", Map(QTY))}))}
PARTIAL = {1: ("metadata", OBJECTMETA)}
GV = {1: ("groupVersion", STR), 2: ("version", STR)}
GROUP = {1: ("name", STR), 2: ("versions", Many(GV)), 3: ("preferredVersion", GV),
         4: ("serverAddressByClientCIDRs", Many({1: ("clientCIDR", STR), 2: ("serverAddress", STR)}))}
VERBS = {1: ("items", Many(STR))}
RESOURCE = {1: ("name", STR), 2: ("namespaced", BOOL), 3: ("kind", STR), 4: ("verbs", VERBS), 5: ("shortNames", Many(STR)), 6: ("singularName", STR),
            7: ("categories", Many(STR)), 8: ("group", STR), 9: ("version", STR), 10: ("storageVersionHash", STR)}
DISCOVERY = {1: ("metadata", OBJECTMETA), 2: ("versions", Many({1: ("version", STR), 2: ("resources", Many({
    1: ("resource", STR), 2: ("responseKind", {1: ("group", STR), 2: ("version", STR), 3: ("kind", STR)}), 3: ("scope", STR),
    4: ("singularResource", STR), 5: ("verbs", Many(STR)), 6: ("shortNames", Many(STR)), 7: ("categories", Many(STR))})), 3: ("freshness", STR)}))}
STATUS = {1: ("metadata", LISTMETA), 2: ("status", STR), 3: ("message", STR), 4: ("reason", STR),
          5: ("details", {1: ("name", STR), 2: ("group", STR), 3: ("kind", STR), 4: ("causes", Many({1: ("reason", STR), 2: ("message", STR), 3: ("field", STR)})),
                          5: ("retryAfterSeconds", INT), 6: ("uid", STR)}), 6: ("code", INT)}


def listof(item):
    return {1: ("metadata", LISTMETA), 2: ("items", Many(item))}


KINDS = {"NodeMetrics": NODE, "NodeMetricsList": listof(NODE), "PodMetrics": POD, "PodMetricsList": listof(POD), "Status": STATUS,
         "PartialObjectMetadata": PARTIAL, "PartialObjectMetadataList": listof(PARTIAL), "APIGroup": GROUP, "APIGroupList": {1: ("groups", Many(GROUP))},
         "APIResourceList": {1: ("groupVersion", STR), 2: ("resources", Many(RESOURCE))}, "APIGroupDiscoveryList": listof(DISCOVERY)}


def fields(buf):
    """(number, wire type, value) of each field."""
    i, out = 0, []

    def varint():
        nonlocal i
        v = shift = 0
        while True:
            b = buf[i]
            i += 1
            v |= (b & 127) << shift
            if b < 128:
                return v
            shift += 7
    while i < len(buf):
        tag = varint()
        if tag & 7 == 0:
            out.append((tag >> 3, 0, varint()))
        elif tag & 7 == 2:
            n = varint()
            if i + n > len(buf):
                raise ValueError("field %d runs past the end" % (tag >> 3))
            out.append((tag >> 3, 2, buf[i:i + n]))
            i += n
        else:
            raise ValueError("wire type %d" % (tag & 7))
    return out


def signed(v):
    return v - (1 << 64) if v >> 63 else v


def decode_value(kind, wire, v):
    if kind == STR:
        return v.decode("utf-8")
    if kind == INT:
        return signed(v)
    if kind == BOOL:
        return bool(v)
    if kind == TIME:
        f = {n: signed(x) for n, _, x in fields(v)}
        if not f:
            return None
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(f.get(1, 0)))
        return text if not f.get(2) else "%s nanos=%d" % (text, f[2])
    if kind == DUR:
        return go_duration(dict((n, signed(x)) for n, _, x in fields(v)).get(1, 0))
    if kind == QTY:
        return dict((n, x.decode("utf-8")) for n, _, x in fields(v)).get(1, "")
    return decode_message(kind, v)


def decode_message(schema, buf):
    raw = {}
    for n, wire, v in fields(buf):
        raw.setdefault(n, []).append((wire, v))
    out = {}
    for n, (name, kind) in schema.items():
        got = raw.pop(n, [])
        if isinstance(kind, Many):
            if got:
                out[name] = [decode_value(kind.of, w, v) for w, v in got]
        elif isinstance(kind, Map):
            if got:
                out[name] = {}
                for w, v in got:
                    pair = dict((k, x) for k, _, x in fields(v))
                    out[name][pair.get(1, b"").decode("utf-8")] = decode_value(kind.of, 2, pair.get(2, b""))
        elif got:
            v = decode_value(kind, *got[-1])
            if v not in ("", 0, False, None, {}):
                out[name] = v
    for n in raw:
        out["unknown field %d" % n] = len(raw[n])
    return out


def decode_protobuf(body):
    if body[:4] != b"k8s\0":
        raise ValueError("no k8s\\0 magic, starts %r" % body[:8])
    f = {}
    for n, _, v in fields(body[4:]):
        f[n] = v
    meta = {n: v.decode("utf-8") for n, _, v in fields(f.get(1, b""))}
    kind = meta.get(2, "")
    out = {"kind": kind, "apiVersion": meta.get(1, "")}
    for n, name in ((3, "contentEncoding"), (4, "contentType")):
        if f.get(n):
            out["envelope " + name] = f[n].decode("utf-8")
    for n in f:
        if n > 4:
            out["envelope field %d" % n] = True
    if kind in KINDS:
        out.update(decode_message(KINDS[kind], f.get(2, b"")))
    else:
        out["raw"] = f.get(2, b"").hex()
    return out


# ---------------------------------------------------------------- normalisation
class Normaliser:
    def __init__(self, answer, skew, ignore_usage=()):
        self.a, self.skew, self.ignore = answer, skew, ignore_usage
        self.numbers, self.warnings = {}, []

    def put(self, old, good, name):
        return "<%s>" % name if good else "<BAD %s %s>" % (name, json.dumps(old, ensure_ascii=False))

    def now(self, v):
        t = parse_time(v)
        return self.put(v, t is not None and self.a.t0 - self.skew <= t <= self.a.t1 + self.skew, "now")

    def when(self, v, label):
        t = parse_time(v)
        if t is not None:
            self.numbers[label, "timestamp"] = t
            if self.a.t1 - t > 120:
                self.warnings.append("%s: sample is %d s old" % (label, self.a.t1 - t))
        return self.put(v, t is not None and t <= self.a.t1 + self.skew, "time")

    def window(self, v):
        ns = parse_duration(v)
        return self.put(v, ns is not None and ns > 0 and go_duration(ns) == v, "window")

    def quantity(self, resource, v, label, stamp):
        value = canonical(resource, v)
        if value is not None:
            self.numbers[label, resource] = (value, stamp)
        return self.put(v, value is not None, resource)

    def metadata(self, m):
        if isinstance(m, dict) and "creationTimestamp" in m and m["creationTimestamp"] is not None:
            m["creationTimestamp"] = self.now(m["creationTimestamp"])

    def usage(self, holder, label, stamp):
        u = holder.get("usage")
        if isinstance(u, dict):
            for k in list(u):
                if k in self.ignore:
                    del u[k]
                elif k in USAGE:
                    u[k] = self.quantity(k, u[k], label, stamp)

    def item(self, o):
        if not isinstance(o, dict):
            return
        m = o.get("metadata")
        label = "/".join(str(m[k]) for k in ("namespace", "name") if k in m) if isinstance(m, dict) else "?"
        stamp = parse_time(o.get("timestamp"))
        self.metadata(m)
        if "timestamp" in o:
            o["timestamp"] = self.when(o["timestamp"], label)
        if "window" in o:
            o["window"] = self.window(o["window"])
        self.usage(o, label, stamp)
        if isinstance(o.get("containers"), list):
            for c in o["containers"]:
                if isinstance(c, dict):
                    self.usage(c, label + "/" + str(c.get("name")), stamp)
            o["containers"].sort(key=lambda c: str(c.get("name")) if isinstance(c, dict) else "")

    def table(self, o):
        columns = [c.get("name") for c in o.get("columnDefinitions") or [] if isinstance(c, dict)]
        if isinstance(o.get("columnDefinitions"), list):
            keep = [i for i, c in enumerate(columns) if c not in self.ignore]
            o["columnDefinitions"] = [o["columnDefinitions"][i] for i in keep]
        else:
            keep = None
        for row in o.get("rows") or []:
            if not isinstance(row, dict):
                continue
            cells = row.get("cells") or []
            label = "row " + str(cells[0]) if cells else "row"
            for i, c in enumerate(cells):
                name = columns[i] if i < len(columns) else ""
                if name in USAGE:
                    cells[i] = self.quantity(name, c, label, None)
                elif name == "Window":
                    cells[i] = self.window(c)
            if keep is not None:
                row["cells"] = [c for i, c in enumerate(cells) if i in keep or i >= len(columns)]
            if isinstance(row.get("object"), dict):
                self.item(row["object"])

    def document(self, o):
        kind = o.get("kind") if isinstance(o, dict) else None
        if kind in ("NodeMetrics", "PodMetrics", "PartialObjectMetadata"):
            self.item(o)
        elif kind in ("NodeMetricsList", "PodMetricsList", "PartialObjectMetadataList"):
            for i in o.get("items") or []:
                self.item(i)
        elif kind == "Table":
            self.table(o)
        elif kind == "APIGroupList":
            for group in o.get("groups") or []:
                for address in group.get("serverAddressByClientCIDRs") or []:
                    address["serverAddress"] = self.put(address.get("serverAddress"), re.fullmatch(r":\d+", str(address.get("serverAddress"))), "port")
        return o


def shape(v):
    if isinstance(v, dict):
        return {k: shape(v[k]) for k in sorted(v)}
    if isinstance(v, list):
        out = []
        for s in map(shape, v):
            if s not in out:
                out.append(s)
        return sorted(out, key=lambda s: json.dumps(s))
    return "<%s>" % {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}[type(v)]


def sorted_keys(v):
    if isinstance(v, dict):
        return {k: sorted_keys(v[k]) for k in sorted(v)}
    return [sorted_keys(x) for x in v] if isinstance(v, list) else v


def read_of_error(status):
    """What a client reads of a Status: words and layout are each server's own."""
    details = {k: v for k, v in (status.get("details") or {}).items() if k in ("name", "group", "kind", "retryAfterSeconds")}
    causes = [[c.get("reason"), c.get("field")] for c in (status.get("details") or {}).get("causes") or []]
    return {"status": status.get("status"), "reason": status.get("reason"), "code": status.get("code"), "details": details, "causes": causes}


class View:
    """What is compared of one answer: text lines, and the parts they come from."""

    def __init__(self, answer, mode, skew, ignore_usage, ignore_headers=()):
        self.ignore_headers = [h.lower() for h in ignore_headers]
        self.answer, self.kind, self.value, self.escaping = answer, "", None, None
        self.norm = Normaliser(answer, skew, ignore_usage)
        self.lines = ["status: %d" % answer.status] if not answer.error else ["error: " + answer.error]
        if mode == "status" or answer.error:
            return
        self.lines += self.header_lines()
        if mode != "headers" and not isinstance(mode, dict):
            self.lines += self.body_lines(mode)

    def header_lines(self):
        a, out = self.answer, []
        for k, v in a.headers:
            name = k.lower()
            if name in self.ignore_headers:
                continue
            if name == "vary":
                out += ["vary: " + x.strip() for x in v.split(",")]
            elif name in VALUE_HEADERS:
                out.append("%s: %s" % (name, v))
            elif name in PRESENCE_HEADERS:
                out.append("%s: <present>%s" % (name, " (quoted)" if name == "etag" and re.fullmatch(r'"[^"]+"', v) else ""))
            elif name == "audit-id":
                uuid = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", v)
                out.append("audit-id: " + ("<as sent>" if a.sent_audit and v == a.sent_audit else "<uuid>" if uuid else v))
            elif name not in IGNORED_HEADERS:
                out.append("other header: " + name)
        return sorted(out)

    def body_lines(self, mode):
        a = self.answer
        ctype = (a.first("content-type") or "").split(";")[0].strip().lower()
        if not a.body:
            return ["body: empty"]
        try:
            if ctype == "application/vnd.kubernetes.protobuf":
                self.value = decode_protobuf(a.body)
                head = ["body: protobuf"]
            elif ctype == "application/yaml":
                text = a.body.decode("utf-8")
                # Flow style, which is JSON, or block style; keys are a set.
                self.value = sorted_keys(json.loads(text) if text[:1] in "{[" else parse_yaml(text))
                head = ["body: yaml"]
            elif ctype == "application/json" or a.body[:1] in b"{[":
                raw = a.body.decode("utf-8")
                self.value = json.loads(raw)
                layout, self.escaping = json_layout(raw, self.value)
                head = ["body: json, " + layout]
            else:
                raise UnicodeError
        except UnicodeError:
            try:
                return ["body: text"] + a.body.decode("utf-8").split("\n")
            except UnicodeError:
                return ["body: %d bytes %s" % (len(a.body), a.body[:64].hex())]
        except (ValueError, IndexError, KeyError, TypeError) as e:
            return ["body: UNREADABLE as %s: %s" % (ctype, e), repr(a.body[:400])]
        if mode == "json-shape":
            return ["body: shape"] + json.dumps(shape(self.value), indent=1, ensure_ascii=False).split("\n")
        self.kind = str(self.value.get("kind")) if isinstance(self.value, dict) else ""
        self.value = self.norm.document(self.value)
        if self.kind == "Status":
            self.value, head = read_of_error(self.value), ["body: error"]
        return head + json.dumps(self.value, indent=1, ensure_ascii=False).split("\n")


def number_warnings(a, b):
    out = []
    for key, va in a.numbers.items():
        vb = b.numbers.get(key)
        if vb is None or key[1] == "timestamp":
            continue
        (x, tx), (y, ty) = va, vb
        if tx is not None and ty is not None and abs(tx - ty) > 20:
            continue
        slack = Fraction(1, 20) if key[1] == "cpu" else 4 << 20
        if abs(x - y) > slack and max(x, y) > 3 * min(x, y):
            out.append("%s %s: A %s, B %s" % (key[0], key[1], float(x), float(y)))
    return out + ["B: " + w for w in b.warnings]


# ---------------------------------------------------------------- comparing
class Runner:
    def __init__(self, options):
        self.o = options
        self.same = options.same or options.a == options.b
        self.a = Server(options.a, options.pki, options.timeout) if options.a.startswith("https:") else Recorded(options.a)
        self.b = Server(options.b, options.pki, options.timeout)
        self.pool = concurrent.futures.ThreadPoolExecutor(2)

    def view(self, answer, mode="full", case=None):
        return View(answer, mode, self.o.skew, self.o.ignore_usage, (case or {}).get("ignore_headers", ()))

    def expectation(self, which, want, view, case, server):
        """Lines that say how an answer misses an explicit expectation."""
        out, a = [], view.answer
        if "status" in want and a.status not in (want["status"] if isinstance(want["status"], list) else [want["status"]]):
            out.append("%s: status %s, expected %s" % (which, a.status or a.error, want["status"]))
        for name, value in want.get("headers", {}).items():
            got = ", ".join(a.get(name.lower())) if a.get(name.lower()) else None
            if (value == "*" and got is None) or (value != "*" and got != value):
                out.append("%s: header %s is %r, expected %r" % (which, name, got, value))
        text = a.body.decode("utf-8", "replace")
        out += ["%s: body lacks %r" % (which, t) for t in want.get("contains", []) if t not in text]
        out += ["%s: body has %r" % (which, t) for t in want.get("lacks", []) if t in text]
        if "json" in want:
            x, y = (json.dumps(v, indent=1, ensure_ascii=False).split("\n") for v in (want["json"], view.value))
            out += list(difflib.unified_diff(x, y, "expected", which, lineterm="", n=1))
        if "like" in want:
            other = dict(case, recorded_as=case["id"] + ".like", **want["like"])
            other.pop("steps", None)
            model = self.view((server.send(other) or [Answer()])[-1], "full", case)
            text = "\n".join(model.lines)
            for old, new in want.get("replace", []):
                text = text.replace(old, new)
            out += list(difflib.unified_diff(text.split("\n"), view.lines, "expected", which, lineterm="", n=1))
        return out

    def once(self, case):
        """(problem lines, warnings, A's answers, volatile)"""
        mode = case.get("compare", "full")
        fa, fb = self.pool.submit(self.a.send, case), self.pool.submit(self.b.send, case)
        aa, bb = fa.result(), fb.result()
        if aa is None:
            return None, [], [], False
        problems, warnings = [], []
        problems += ["A gave no answer: " + x.error for x in aa if x.error and (x.error == "no connection" or "tls" not in case)]
        va, vb = [self.view(x, mode, case) for x in aa], [self.view(x, mode, case) for x in bb]
        if "a_expect" in case:
            problems += self.expectation("A", case["a_expect"], self.view(aa[-1]), case, self.a)
        if "b_expect" in case and not self.same:
            problems += self.expectation("B", case["b_expect"], self.view(bb[-1], "full", case), case, self.a)
        else:
            if len(va) != len(vb):
                problems.append("A gave %d answers, B %d" % (len(va), len(vb)))
            for n, (x, y) in enumerate(zip(va, vb)):
                step = " step %d" % (n + 1) if len(va) > 1 else ""
                problems += list(difflib.unified_diff(x.lines, y.lines, "A" + step, "B" + step, lineterm="", n=1))
                warnings += number_warnings(x.norm, y.norm)
                if x.escaping is not None and y.escaping is not None and x.escaping != y.escaping:
                    if any(c in go_json(x.value, False, False) for c in "<>&"):
                        warnings.append("< > & in JSON strings are escaped differently")
                if isinstance(mode, dict):
                    for t in mode["contains"]:
                        for name, answer in (("A", x.answer), ("B", y.answer)):
                            if t.encode() not in answer.body:
                                problems.append("%s: body lacks %r" % (name, t))
        volatile = any(v.kind in ("Table", "PodMetrics", "NodeMetrics", "PodMetricsList", "NodeMetricsList", "PartialObjectMetadata", "PartialObjectMetadataList")
                       for v in va + vb + [self.view(bb[-1])])
        return problems, warnings, aa, volatile

    def run(self, case):
        for attempt in range(3):
            problems, warnings, answers, volatile = self.once(case)
            if not problems or not volatile:
                break
            time.sleep(1.5)
        return problems, warnings, answers, attempt + 1


def load(path):
    cases, seen = [], set()
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            if line.strip() and not line.startswith("#"):
                case = json.loads(line)
                if case["id"] in seen:
                    raise ValueError("%s:%d: id %s twice" % (path, n, case["id"]))
                seen.add(case["id"])
                cases.append(case)
    return cases


def main(argv=None):
    p = argparse.ArgumentParser(description="Compares two metrics.k8s.io servers.", epilog="The corpus format and the normalisation are described at the top of this file.")
    p.add_argument("--corpus", required=True)
    p.add_argument("--a", required=True, help="URL of metrics-server, or a folder written by --record")
    p.add_argument("--b", required=True, help="URL of the server under test")
    p.add_argument("--pki", required=True, help="folder of NAME.crt, NAME.key, NAME.token")
    p.add_argument("--only", default="", help="run only the ids that this regular expression finds")
    p.add_argument("--record", help="write A's answers to this folder")
    p.add_argument("--skew", type=float, default=3, help="seconds that creationTimestamp may be off (3)")
    p.add_argument("--timeout", type=float, default=30, help="seconds for one exchange (30)")
    p.add_argument("--ignore-usage", default="", help="usage keys (and Table columns) to leave out, comma-separated, e.g. swap")
    p.add_argument("--diff-lines", type=int, default=24, help="longest diff printed (24)")
    p.add_argument("--same", action="store_true", help="B is metrics-server too: known differences are not expected of it")
    p.add_argument("--show", action="store_true", help="print A's answer of each case as it is compared")
    o = p.parse_args(argv)
    o.ignore_usage = tuple(k for k in o.ignore_usage.split(",") if k)
    runner, passed, failed = Runner(o), 0, 0
    for case in load(o.corpus):
        if not re.search(o.only, case["id"]):
            continue
        problems, warnings, answers, attempts = runner.run(case)
        if problems is None:
            print("skip %s (no recorded answer)" % case["id"])
            continue
        if o.record:
            record(o.record, case["id"], answers)
            like = case.get("b_expect", {}).get("like")
            if like:
                record(o.record, case["id"] + ".like", runner.a.send(dict(case, **like)))
        if problems:
            failed += 1
            print("DIFF %s: %s" % (case["id"], case.get("note", "")))
            for line in problems[:o.diff_lines]:
                print("    " + line)
            if len(problems) > o.diff_lines:
                print("    ... %d more lines" % (len(problems) - o.diff_lines))
        else:
            passed += 1
            print("ok %s%s%s" % (case["id"], " (attempt %d)" % attempts if attempts > 1 else "", " (deviation: %s)" % case["deviation"] if "deviation" in case else ""))
        for w in warnings:
            print("    warning: " + w)
        if o.show:
            for a in answers:
                print("\n".join("    | " + l for l in runner.view(a).lines))
        sys.stdout.flush()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
