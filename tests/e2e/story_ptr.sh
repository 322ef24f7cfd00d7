#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Reverse DNS of a pool, between two real name servers that know nobody else: what is wrong is found,
# the zones are written, served, found good; and what then goes wrong is found again.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
for tool in named named-checkzone named-checkconf dig; do
  if [[ -z $(type -P "$tool") ]]; then skip "$tool is missing: bind9, bind9-utils, bind9-dnsutils"; fi
done

primary=127.0.0.1 secondary=127.0.0.2 port=5353
declare -A named_pids=()

# named_conf NAME ADDRESS: one server's own part; its zones are in NAME.zones. On port 53 as well,
# where the world asks.
named_conf() {
  local dir=$fixture_dir/$1
  mkdir -p "$dir"
  touch "$dir/zones"
  cat >"$dir/named.conf" <<END
options {
  directory "$dir"; pid-file none; session-keyfile none; managed-keys-directory "$dir";
  listen-on port $port { $2; }; listen-on port 53 { $2; }; listen-on-v6 { none; };
  query-source address $2; transfer-source $2; notify-source $2;
  recursion no; allow-query { any; }; empty-zones-enable no; dnssec-validation no;
  notify-rate 1000; startup-notify-rate 1000; serial-query-rate 1000; notify-delay 0;
  min-refresh-time 1; tcp-listen-queue 64;
};
controls { };
include "$dir/zones";
END
}

serves() { gw dig +short +time=1 +tries=1 -p "$port" "@$1" "$2" SOA | grep -q .; }
serial_of() { gw dig +short +time=1 +tries=1 -p "$port" "@$1" "$2" SOA | cut -d' ' -f3; }

# named_start NAME ADDRESS ZONE
named_start() {
  (exec nsenter --net="/run/netns/$fixture_ns-gw" -- \
    named -g -n 1 -c "$fixture_dir/$1/named.conf") >>"$fixture_dir/$1.log" 2>&1 &
  named_pids[$1]=$!
  if ! wait_for "serves $2 $3" 20; then
    cat "$fixture_dir/$1.log" >&2
    die "named $1 does not serve $3"
  fi
}
named_stop() {
  stop "${named_pids[$1]}" TERM
  unset "named_pids[$1]"
}
nameds_down() {
  local name
  for name in "${!named_pids[@]}"; do stop "${named_pids[$name]}" KILL; done
}

# ptr EXIT_CODE VERB...: what it said is in $said, the table and the notes.
ptr() {
  local wanted=$1 code=0
  shift
  said=$(mw ptr "$@" 2>&1) || code=$?
  equal "$wanted" "$code" || { printf '%s\n' "$said"; return 1; }
}
verdict_of() { mw -q -o json ptr check "${@:2}" | jq -r ".addresses[] | select(.address == \"$1\") | .text"; }
zone_text() { mw -q -o json ptr check "$@" | jq -r '.zones[].text'; }

fixture_up ptr
at_end=nameds_down
gw ip addr add $secondary/8 dev lo
zone=100.51.198.in-addr.arpa out=$fixture_dir/out
config_write pool.networks='["198.51.100.0/24"]' pool.domain='"example.net"' \
  pool.name_servers="[\"ns1.example.net=$primary:$port\", \"ns2.example.net=$secondary:$port\"]" \
  pool.resolver="\"$primary:$port\""
named_conf one $primary
named_conf two $secondary

# ---- as it was found
cat >"$fixture_dir/one/reverse" <<END
\$TTL 60
@ IN SOA ns1.example.net. hostmaster.example.net. ( 2020112511 3600 600 86400 60 )
  IN NS ns1.example.net.
\$GENERATE 0-255 \$ IN PTR nat-\$.example.net.
8 IN PTR twice.example.net.
END
# Gone, elsewhere, nowhere, generic, no host name, an alias; upper case.
sed -i 's/^\$GENERATE 0-255/$GENERATE 0-6/' "$fixture_dir/one/reverse"
cat >>"$fixture_dir/one/reverse" <<END
8 IN PTR nat-8.example.net.
9 IN PTR elsewhere.example.net.
10 IN PTR nowhere.example.net.
11 IN PTR dynamic.pool.example.net.
12 IN PTR under_score.example.net.
13 IN CNAME 13.alias
13.alias IN PTR nat-13.example.net.
14 IN PTR NAT-14.Example.NET.
15 IN PTR outside.example.org.
\$GENERATE 1-60 16 IN PTR a-name-of-some-length-\$.example.net.
17 IN CNAME 17.64/26.other
\$ORIGIN 64/26.other.$zone.
17 IN CNAME nat-17.aliased.example.net.
\$ORIGIN $zone.
\$GENERATE 18-255 \$ IN PTR nat-\$.example.net.
END
cat >"$fixture_dir/one/forward" <<END
\$TTL 60
@ IN SOA ns1 hostmaster ( 1 3600 600 86400 60 )
  IN NS ns1
ns1 IN A $primary
ns2 IN A $secondary
\$GENERATE 0-255 nat-\$ IN A 198.51.100.\$
twice IN A 198.51.100.8
elsewhere IN A 198.51.100.91
dynamic.pool IN A 198.51.100.11
nat-17.aliased IN PTR nat-17
END
cat >"$fixture_dir/one/zones" <<END
zone "$zone" { type primary; file "reverse"; check-names ignore; };
zone "example.net" { type primary; file "forward"; };
zone "203.in-addr.arpa" { type primary; file "registry"; };
END
printf '$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n' >"$fixture_dir/one/registry"
named_start one $primary "$zone"

check "a pool with faults: exit 1" ptr 1 check --bad
printf '%s\n' "$said" | sed 's/^/        /'
for row in "7:missing PTR" "8:2 PTRs" "9:mismatch" "16:60 PTRs" "17:ok" "10:name does not exist" "12:no host name" \
  "11:generic name: has the word 'dynamic'" "6:ok" "13:ok" "14:ok" "0:ok" "255:ok" \
  "15:unknown: outside.example.org: REFUSED"; do
  check "198.51.100.${row%%:*}: ${row#*:}" equal "${row#*:}" "$(verdict_of "198.51.100.${row%%:*}")"
done
check "the bad ones are counted" contains "6 of 256 bad, 1 unknown" "$said"
check "one name server is not enough" equal "one name server only" "$(zone_text)"
check "what the registry has not delegated is said" equal "not delegated (by 203.in-addr.arpa)" "$(zone_text 203.0.113.0/24)"
check "a generic name alone is not bad" equal 0 "$(mw -o json ptr check 198.51.100.11 | jq .counts.bad)"

# ---- as it should be
check "what would change is shown, exit 1" ptr 1 zone --diff "$fixture_dir/one/reverse"
check "a PTR that is missing is among it" contains "+ 7.$zone. PTR nat-7.example.net." "$said"
check "one that is right is not" lacks "nat-6.example.net" "$said"
check "a dry run makes no folder" ptr 0 zone --out "$out" --dry-run
check "none is there" not test -e "$out"
check "the zones are written into a folder" ptr 0 zone --out "$out" --ripe --diff "$fixture_dir/one/reverse"
check "named-checkzone takes the zone" named-checkzone -q "$zone" "$out/$zone.zone"
check "named-checkconf takes the primary's stanza, and its zone" named-checkconf -z "$out/named.conf.primary"
check "and the secondary's" named-checkconf "$out/named.conf.secondary"
check "RIPE's object has both servers" equal 2 "$(grep -c '^nserver:' "$out/ripe.objects")"
before=$(cat "$out"/*)
check "again: nothing is written anew" ptr 0 zone --out "$out" --ripe
check "not even a serial" equal "$before" "$(cat "$out"/*)"
check "it does not differ from what it is: exit 0" ptr 0 zone --diff "$out/$zone.zone"

printf '$TTL 60\n@ IN SOA ns1 hostmaster 2 3600 600 86400 60\n@ IN NS ns1\n@ IN NS ns2\nns1 A %s\nns2 A %s\n$INCLUDE %s\n' \
  $primary $secondary "$out/example.net.forward" >"$fixture_dir/one/forward"
check "named-checkzone takes the forward records" named-checkzone -q example.net "$fixture_dir/one/forward"
named_stop one
{
  cat "$out/named.conf.primary"
  echo 'zone "example.net" { type primary; file "forward"; };'
} >"$fixture_dir/one/zones"
cp "$out/named.conf.secondary" "$fixture_dir/two/zones"
named_start one $primary "$zone"
check "before the second serves it, it is unknown, not bad" \
  contains "unknown: $secondary:$port" "$(zone_text --servers $primary:$port,$secondary:$port)"
named_start two $secondary "$zone"
check "both servers have one serial" equal "$(serial_of $primary $zone)" "$(serial_of $secondary $zone)"
check "asked directly both are good: exit 0" ptr 0 check --servers $primary:$port,$secondary:$port
check "all of it" contains "0 of 256 bad, 0 unknown" "$said"
check "so does the world see it, on port 53" ptr 0 check
check "named by their names, too" ptr 0 check --servers ns1.example.net,ns2.example.net 198.51.100.0/30

# ---- and what can go wrong then
named_stop two
sed -i 's/type secondary/type primary/; /primaries/d' "$fixture_dir/two/zones"
sed -E 's/[0-9]+(\t; serial)/2020010101\1/' "$out/$zone.zone" >"$fixture_dir/two/$zone.zone"
named_start two $secondary "$zone"
check "serials that differ are bad: exit 1" ptr 1 check --servers $primary:$port,$secondary:$port
check "and both are told" contains "serials differ: $primary:$port $(serial_of $primary $zone), $secondary:$port 2020010101" "$said"
check "the world sees it as well" contains "serials differ" "$(zone_text)"
check "one of them alone is good" ptr 0 check --servers $secondary:$port
named_stop two
: >"$fixture_dir/two/zones"
echo 'zone "other.example" { type primary; file "other"; };' >"$fixture_dir/two/zones"
printf '$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n' >"$fixture_dir/two/other"
named_start two $secondary other.example
check "a server that refuses does not serve it: exit 1" ptr 1 check --servers $primary:$port,$secondary:$port
check "and is named" contains "$secondary:$port does not serve it (REFUSED)" "$said"
named_stop two

echo "# mine" >"$out/$zone.zone"
check "a file of somebody else is not written over" ptr 1 zone --out "$out"
check "and is what it was" equal "# mine" "$(cat "$out/$zone.zone")"

# ---- less than a /24, and IPv6
config_write pool.networks='["198.51.100.64/26", "2001:db8:1:2::/124"]' pool.domain='"example.net"' \
  pool.name_servers="[\"ns1.example.net=$primary\", \"ns2.example.net=$secondary\"]" \
  pool.resolver="\"$primary:$port\""
named_stop one
out=$fixture_dir/small six=2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa
check "a /26 and an IPv6 pool are written" ptr 0 zone --out "$out" --ripe
check "named-checkzone takes the classless one" named-checkzone -q "64/26.$zone" "$out/64-26.$zone.zone"
check "and the one of IPv6" named-checkzone -q "$six" "$out/$six.zone"
check "RIPE has one object of them" equal 1 "$(grep -c '^domain:' "$out/ripe.objects")"
printf '$TTL 60\n@ IN SOA ns1 hostmaster 2 3600 600 86400 60\n@ IN NS ns1\n@ IN NS ns2\nns1 A %s\nns2 A %s\n$INCLUDE %s\n' \
  $primary $secondary "$out/example.net.forward" >"$fixture_dir/one/forward"
cat "$out/named.conf.primary" >"$fixture_dir/one/zones"
echo 'zone "example.net" { type primary; file "forward"; };' >>"$fixture_dir/one/zones"
named_start one $primary "$six"
check "before the parent has its aliases they are good" ptr 0 check --servers $primary:$port
check "all 80 of them" contains "0 of 80 bad, 0 unknown" "$said"

# A root, the /24 that the LIR keeps, with the records that the zone file asks for, and a resolver
# that knows the root only.
resolver=127.0.0.4
gw ip addr add $resolver/8 dev lo
named_conf three $resolver
sed -i 's/recursion no/recursion yes/' "$fixture_dir/three/named.conf"
echo 'zone "." { type hint; file "hints"; };' >"$fixture_dir/three/zones"
printf '. 60 NS ns1.example.net.\nns1.example.net. 60 A %s\n' $primary >"$fixture_dir/three/hints"
authority='$TTL 60\n@ SOA ns1.example.net. h. 1 2 3 4 5\n@ NS ns1.example.net.\n'
# shellcheck disable=SC2059 # it is a format
{
  printf "$authority" >"$fixture_dir/one/parent"
  printf "${authority}example.net. NS ns1.example.net.\nns1.example.net. A $primary\n" >"$fixture_dir/one/root"
}
for name in "$zone" "$six"; do echo "$name. NS ns1.example.net." >>"$fixture_dir/one/root"; done
sed -n '/^;\t/s/^;\t//p' "$out/64-26.$zone.zone" >>"$fixture_dir/one/parent"
for name in ".:root" "$zone:parent"; do
  echo "zone \"${name%%:*}\" { type primary; file \"${name#*:}\"; };" >>"$fixture_dir/one/zones"
done
cp "$out/named.conf.secondary" "$fixture_dir/two/zones"
# The ports of this pool's servers are the usual ones.
named_stop one
named_start one $primary "$six"
named_start two $secondary "$six"
named_start three $resolver "$zone"
config_write pool.networks='["198.51.100.64/26", "2001:db8:1:2::/124"]' pool.resolver="\"$resolver:$port\""
check "once it has them, the world sees them through a resolver" ptr 0 check
check "all 80, in their two zones" contains "0 of 80 bad, 0 unknown" "$said"
check "the classless one by its own name" contains "64/26.$zone" "$said"
check "what nobody delegated is bad" equal "not delegated (by the root)" "$(zone_text 203.0.113.0/24)"
check "what the LIR has kept has no name" equal "missing PTR" "$(verdict_of 198.51.100.7 198.51.100.7)"
named_stop two
named_stop three

# ---- nobody there, and many
config_write pool.resolver='"127.0.0.3:5353"'
check "a dead resolver: nothing can be judged, exit 1" ptr 1 check 198.51.100.0/24
check "all is unknown, nothing bad" contains "0 of 256 bad, 256 unknown" "$said"
gw iptables -w 5 -A INPUT -i lo -d 127.0.0.3 -j DROP
check "one that says nothing at all is no worse: exit 1" ptr 1 check 198.51.100.0/24
check "and is not asked for ever" contains "unknown: timed out" "$said"
check "time-outs are unknown, nothing bad" contains "0 of 256 bad, 256 unknown" "$said"
named_stop one
printf '$TTL 60\n@ SOA ns1 hostmaster 1 2 3 4 5\n@ NS ns1\n@ NS ns2\nns1 A %s\nns2 A %s\n$GENERATE 0-255 *.h$ A 10.9.0.1\n' \
  $primary $secondary >"$fixture_dir/one/forward"
config_write pool.networks='["10.9.0.0/16"]' pool.domain='"example.net"' pool.ptr_pattern='"nat-{c}-{d}.{domain}"' \
  pool.name_servers="[\"ns1.example.net=$primary\", \"ns2.example.net=$secondary\"]" pool.resolver="\"$primary:$port\""
out=$fixture_dir/large
check "a /16 is one zone" ptr 0 zone --out "$out"
printf '$INCLUDE %s\n' "$out/example.net.forward" >>"$fixture_dir/one/forward"
cat "$out/named.conf.primary" >"$fixture_dir/one/zones"
echo 'zone "example.net" { type primary; file "forward"; };' >>"$fixture_dir/one/zones"
named_start one $primary 9.10.in-addr.arpa
started=$EPOCHREALTIME
check "a /16 is walked" ptr 0 check --servers $primary:$port
check "all of it" contains "0 of 65 536 bad, 0 unknown" "$said"
echo "        65,536 addresses in $(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $started }") s"
check "a part of it" ptr 0 check --servers $primary:$port 10.9.200.0/22

story_end
