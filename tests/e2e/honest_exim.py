# SPDX-License-Identifier: GPL-2.0-or-later
"""The two ends of the honest stories: Exim as all the mail servers of the world, and Exim as a mail
server behind the gateway, with a queue of its own. Writes their configuration; starts nothing.

usage: honest_exim.py servers DIR
       honest_exim.py sender DIR SOURCE PORT RETRY_SECONDS   takes mail on PORT of 127.0.0.1

The recipient says what becomes of a mail: refused.N@A-B.example.org is 550, grey.N@ is 451 at its
first attempt, any other is taken; A-B is the server 198.A.B.25. 198.19.200.25 takes connections and
never speaks, 198.19.201.25 is too busy for any."""

import shutil
import sys
from pathlib import Path

COMMON = r"""
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = @DIR@/spool
log_file_path = @DIR@/log/%slog
pid_file_path = @DIR@/exim.pid
keep_environment =
helo_lookup_domains =
tls_advertise_hosts =
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
smtp_connect_backlog = 1024
"""

# All look a client up before they greet, and one in ten keeps it waiting to sort out bots: so an
# honest sender has many conversations open at a time, and meets the brake. CHUNKING is not offered:
# with it Exim sends the text along with the recipient, and a refused session is as long as a
# delivered one. What is taken stays in the spool: there is no router, so that nothing could leave.
SERVERS = r"""
primary_hostname = mx.example.org
local_interfaces = 0.0.0.0
chunking_advertise_hosts =
queue_only
log_selector = +millisec +received_recipients +incoming_interface
acl_smtp_connect = greet
acl_smtp_rcpt = rcpt
acl_smtp_data = accept

begin acl
greet:
  defer   condition = ${if eq{$received_ip_address}{198.19.201.25}}
          message   = 421 4.3.2 Too busy
  drop    condition = ${if eq{$received_ip_address}{198.19.200.25}}
          delay     = 5m
  accept  condition = ${if match{$received_ip_address}{\N^198\.\d+\.\d*0\.\N}}
          delay     = 5s
  accept  delay     = 1s

rcpt:
  deny    local_parts = ^refused
          message   = 550 5.1.1 No such user
  # Below 1.5 an hour is the first attempt of a sender with a recipient.
  defer   local_parts = ^grey
          !ratelimit = 1.5 / 1h / strict / per_cmd / $sender_address/$local_part@$domain
          message   = 451 4.7.1 Greylisted, try again
  accept
"""

# The bounces of refused mails come home, and end there.
SENDER = r"""
primary_hostname = mail.example.net
local_interfaces = 127.0.0.1
log_selector = +millisec +deliver_time
daemon_smtp_ports = @PORT@
deliver_drop_privilege
remote_max_parallel = 50
queue_run_max = 20
acl_smtp_rcpt = accept
acl_smtp_data = accept

begin routers
far:
  driver = manualroute
  domains = *.example.org
  route_data = ${sg{$domain}{\N^(\d+)-(\d+)\..*\N}{198.\$1.\$2.25}}
  transport = smtp
home:
  driver = redirect
  data = :blackhole:

begin transports
smtp:
  driver = smtp
  interface = @SOURCE@

begin retry
* * F,1h,@RETRY@s
"""


def write(directory, text, **values):
    """Exim gives up root, and must be able to write its spool and log."""
    home = Path(directory)
    for name in ("spool", "log"):
        path = home / name
        path.mkdir(parents=True)
        shutil.chown(path, "Debian-exim", "Debian-exim")
    for key, value in {"DIR": str(home), **values}.items():
        text = text.replace(f"@{key}@", value)
    (home / "exim.conf").write_text(text)


def main(what, directory, *arguments):
    if what == "servers":
        write(directory, COMMON + SERVERS)
    else:
        source, port, retry = arguments
        write(directory, COMMON + SENDER, SOURCE=source, PORT=port, RETRY=retry)


if __name__ == "__main__":
    main(*sys.argv[1:])
