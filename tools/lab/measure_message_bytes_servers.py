# SPDX-License-Identifier: GPL-2.0-or-later
"""Postfix from its Debian package, unpacked beside an installed Exim: as the servers that accept or
refuse at a chosen point, and as a client. Certificates as servers have them. Measures nothing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from belongings import LabError, wait_for
from network import SERVERS

# Accounts of every Debian, so that none has to be made: Postfix wants two that it does not share.
OWNER, DROP_GROUP = "mail", "news"
QUEUES = "active bounce corrupt defer deferred flush hold incoming private saved trace".split()

# Settings of a listener by the point at which it refuses.
STAGES = {
    "accept": {},
    "greeting 554": {"smtpd_client_restrictions": "reject"},
    "greeting 421": {"smtpd_client_restrictions": "static:{421 4.7.0 Try again later}"},
    "HELO 550": {"smtpd_helo_restrictions": "static:{550 5.7.1 Go away}"},
    "MAIL 550": {"smtpd_sender_restrictions": "static:{550 5.7.1 Sender refused}"},
    "RCPT 550": {"smtpd_recipient_restrictions": "static:{550 5.1.1 No such user}"},
    "RCPT 450": {"smtpd_recipient_restrictions": "static:{450 4.7.1 Greylisted, try again}"},
    "DATA 550": {"smtpd_end_of_data_restrictions": "static:{550 5.7.1 Looks like spam}"},
}
# Says as much as servers on the Internet do at most: notices, and refusals with a link.
WORDY_BANNER = "mx.lab.example.net ESMTP " + "We do not authorize the use of this system. " * 8
WORDY_FOOTER = r"\c. " + r"\nSee https://postmaster.example.net/refused for what you can do." * 6
WORDY = {"smtpd_banner": WORDY_BANNER, "smtpd_reject_footer": WORDY_FOOTER}
# None: no STARTTLS is offered.
CERTIFICATES = (None, "ecdsa", "rsa", "ecdsa-ca", "rsa-ca")
ASKS = "rsa, asks for the client's"
TLS_STAGES = ("accept", "MAIL 550", "RCPT 550", "RCPT 450", "DATA 550")
PLAIN_STAGES = tuple(STAGES)


def listeners():
    """Address of each server by (stage, certificate, wordy)."""
    wanted = [(stage, None, False) for stage in PLAIN_STAGES]
    wanted += [(stage, None, True) for stage in ("accept", "RCPT 550")]
    wanted += [(stage, cert, False) for cert in CERTIFICATES[1:] for stage in TLS_STAGES]
    wanted += [(stage, ASKS, False) for stage in ("accept", "RCPT 550", "DATA 550")]
    return dict(zip(wanted, SERVERS, strict=False))


# What a public CA puts into a leaf: the sizes count here, not the contents.
CA_LEAF = """\
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
authorityInfoAccess = caIssuers;URI:http://r10.i.ca.example.org/
crlDistributionPoints = URI:http://r10.c.ca.example.org/15.crl
certificatePolicies = 2.23.140.1.2.1
subjectAltName = DNS:mx.lab.example.net
1.3.6.1.4.1.11129.2.4.2 = ASN1:FORMAT:HEX,OCTETSTRING:{scts}
"""
CA_INTERMEDIATE = """\
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,digitalSignature,cRLSign,keyCertSign
extendedKeyUsage = serverAuth,clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
authorityInfoAccess = caIssuers;URI:http://x1.i.ca.example.org/
crlDistributionPoints = URI:http://x1.c.ca.example.org/
certificatePolicies = 2.23.140.1.2.1
"""
KEYS = {"ecdsa": "ec -pkeyopt ec_paramgen_curve:P-256", "rsa": "rsa -pkeyopt rsa_keygen_bits:2048"}


class Certificates:
    """Self-signed ones (Debian's default, "snakeoil") and chains of the size public CAs issue."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        directory.chmod(0o755)

    def make(self):
        root_key = "rsa -pkeyopt rsa_keygen_bits:4096"
        self._self_signed("root", root_key, "/C=US/O=Example Research Group/CN=Example Root X1")
        for kind, key in KEYS.items():
            self._self_signed(kind, key, "/CN=mx.lab.example.net")
            self._chain(kind, key)
        self._self_signed("client", KEYS["rsa"], "/CN=client.example.net")
        self._bundle("client-ca", ["rsa-ca", "rsa-middle"], "rsa-ca")

    def path(self, name):
        """A file with the key and the chain, readable for the servers and the clients alike."""
        return str(self.directory / f"{name}.pem")

    def _openssl(self, command):
        done = subprocess.run(
            ["openssl", *command], cwd=self.directory, capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0:
            raise LabError(f"openssl {' '.join(command)}: {done.stderr.strip()}")

    def _key(self, name, kind):
        self._openssl(f"genpkey -out {name}.key -algorithm {kind}".split())

    def _self_signed(self, name, kind, subject):
        self._key(name, kind)
        request = f"req -x509 -days 3650 -key {name}.key -out {name}.crt -subj".split()
        self._openssl([*request, subject, "-addext", "subjectAltName=DNS:mx.lab.example.net"])
        self._bundle(name, [name])

    def _chain(self, kind, key):
        upper = "ec -pkeyopt ec_paramgen_curve:P-384" if kind == "ecdsa" else key
        subject = "/C=US/O=Example Research Group/CN=R10"
        self._signed(f"{kind}-middle", upper, subject, "root", CA_INTERMEDIATE)
        leaf = CA_LEAF.format(scts="a5" * 242)
        self._signed(f"{kind}-ca", key, "/CN=mx.lab.example.net", f"{kind}-middle", leaf)
        self._bundle(f"{kind}-ca", [f"{kind}-ca", f"{kind}-middle"])

    def _signed(self, name, kind, subject, issuer, extensions):
        self._key(name, kind)
        (self.directory / f"{name}.ext").write_text(extensions)
        self._openssl([*f"req -new -key {name}.key -out {name}.csr -subj".split(), subject])
        self._openssl(
            f"x509 -req -days 90 -in {name}.csr -CA {issuer}.crt -CAkey {issuer}.key "
            f"-CAcreateserial -extfile {name}.ext -out {name}.crt".split()
        )

    def _bundle(self, name, chain, key=None):
        parts = [f"{key or name}.key", *(f"{link}.crt" for link in chain)]
        text = "".join((self.directory / part).read_text() for part in parts)
        Path(self.path(name)).write_text(text)


def find_postfix(given, directory):
    """The root under which usr/sbin/postconf of Postfix is; downloads the package if need be."""
    if given or Path("/usr/lib/postfix/sbin/master").exists():
        root = Path(given or "/")
    else:
        root = directory / "package"
        download(root)
    if not (root / "usr/lib/postfix/sbin/smtpd").exists():
        raise LabError(f"no Postfix in {root}: unpack the package there (dpkg -x postfix.deb DIR)")
    return root


def download(root):
    root.mkdir()
    try:
        done = subprocess.run(
            "apt-get -q download postfix".split(),
            cwd=root,
            capture_output=True,
            text=True,
            timeout=120,
        )
        why = done.stderr.strip().splitlines()[-1:]
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        why = [str(error)]
    packages = list(root.glob("postfix_*.deb"))
    if not packages:
        raise LabError(f"no Postfix here, and no package of it ({why}): give --postfix DIR")
    subprocess.run(["dpkg", "-x", packages[0], root], check=True, timeout=60)


class Postfix:
    """One instance, in one namespace."""

    def __init__(self, belongings, network, short, root):
        self._owned = belongings
        self._network = network
        self._short = short
        self._root = root
        self._dir = belongings.directory / f"postfix-{short}"
        self.log = self._dir / "mail.log"
        libraries = str(root / "usr/lib/postfix")
        self._environment = {**os.environ, "LD_LIBRARY_PATH": libraries}

    def command(self, program, *words):
        return [str(self._root / "usr/sbin" / program), *words]

    def run(self, program, *words, text=""):
        done = subprocess.run(
            self._network.enter(self._short) + self.command(program, *words),
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            env={**self._environment, "MAIL_CONFIG": str(self._dir / "etc")},
        )
        if done.returncode != 0:
            raise LabError(f"{program} {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def version(self):
        return self.run("postconf", "-h", "mail_version").strip()

    def start(self, settings, services):
        """`settings` of main.cf, `services` as lines of master.cf."""
        spool = self._dir / "spool"
        for path in [self._dir / "etc", self._dir / "lib", *(spool / name for name in QUEUES)]:
            path.mkdir(parents=True, mode=0o755)
        for name in QUEUES:
            (spool / name).chmod(0o700)
            shutil.chown(spool / name, OWNER)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            (spool / name).mkdir()
            shutil.chown(spool / name, OWNER, DROP_GROUP)
            (spool / name).chmod(mode)
        (spool / "pid").mkdir()
        shutil.chown(self._dir / "lib", OWNER)
        (self._dir / "etc" / "main.cf").write_text(self._main(settings))
        (self._dir / "etc" / "master.cf").write_text(MASTER + "\n".join([*services, LAST, ""]))
        self._spawn()

    def _main(self, settings):
        tree = self._root
        values = {
            "compatibility_level": "3.6",
            "queue_directory": self._dir / "spool",
            "data_directory": self._dir / "lib",
            "command_directory": tree / "usr/sbin",
            "daemon_directory": tree / "usr/lib/postfix/sbin",
            "shlib_directory": tree / "usr/lib/postfix",
            "sendmail_path": tree / "usr/sbin/sendmail",
            "mail_owner": OWNER,
            "setgid_group": DROP_GROUP,
            "import_environment": "MAIL_CONFIG LD_LIBRARY_PATH",
            "export_environment": "MAIL_CONFIG LD_LIBRARY_PATH",
            "maillog_file": self.log,
            "maillog_file_prefixes": self._dir,
            "inet_protocols": "ipv4",
            "in_flow_delay": "0",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "mydestination": "",
            "smtpd_peername_lookup": "no",
            "disable_dns_lookups": "yes",
            "mynetworks": "0.0.0.0/0",
            **settings,
        }
        return "".join(f"{key} = {value}\n" for key, value in values.items())

    def _spawn(self):
        master = self._root / "usr/lib/postfix/sbin/master"
        what = f"master-{self._short}"
        child = self._owned.spawn(
            what,
            [*self._network.enter(self._short), str(master), "-d", "-c", str(self._dir / "etc")],
            env=self._environment,
        )

        # Sockets are made in the order of master.cf.
        last = self._dir / "spool" / "private" / "retry"
        wait_for(lambda: last.exists() or child.poll() is not None, 60)
        if child.poll() is not None or not last.exists():
            said = (self._owned.directory / f"{what}.log").read_text(errors="replace")
            raise LabError(f"Postfix does not start; it says:\n{said}{self.lines()}")

    def log_size(self):
        return self.log.stat().st_size if self.log.exists() else 0

    def lines(self, start=0):
        """The log from that byte on."""
        if not self.log.exists():
            return ""
        with self.log.open(errors="replace") as log:
            log.seek(start)
            return log.read()


MASTER = """\
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
discard unix - - n - - discard
error unix - - n - - error
anvil unix - - n - 1 anvil
"""
LAST = "retry unix - - n - - error"


def start_servers(postfix, certificates):
    """A listener for each of listeners(); what they accept is discarded."""
    settings = {
        "myhostname": "mx.lab.example.net",
        "default_transport": "discard",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        # Debian's Postfix delays all refusals until RCPT; other servers do not.
        "smtpd_delay_reject": "no",
        "smtpd_tls_loglevel": "2",
    }
    services = []
    for (stage, certificate, wordy), address in listeners().items():
        options = {**STAGES[stage], **(WORDY if wordy else {})}
        if certificate:
            options["smtpd_tls_security_level"] = "may"
            options["smtpd_tls_chain_files"] = certificates.path(certificate.split(",")[0])
            options["smtpd_tls_ask_ccert"] = "yes" if certificate == ASKS else "no"
        words = "".join(f"\n  -o {{ {key} = {value} }}" for key, value in options.items())
        services.append(f"{address}:25 inet n - n - - smtpd{words}")
    postfix.start(settings, services)


def accepted_senders(postfix):
    """The envelope senders whose mail went into the servers' queue."""
    return set(re.findall(r"from=<([^>]*)>.*\(queue active\)", postfix.lines()))
