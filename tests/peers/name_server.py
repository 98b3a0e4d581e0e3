"""A DNS server of dnslib for the zone example.test. Argument: the port."""

import sys
import time

from dnslib.server import DNSServer
from dnslib.zoneresolver import ZoneResolver

ZONE = """
$ORIGIN example.test.
@     60 IN SOA ns hostmaster 1 60 60 60 60
shop  60 IN A   192.0.2.7
shop  60 IN A   192.0.2.8
@     60 IN MX  10 mail.example.test.
"""

for tcp in (False, True):
    DNSServer(ZoneResolver(ZONE), address="127.0.0.1", port=int(sys.argv[1]), tcp=tcp).start_thread()
print("ready", flush=True)
while True:
    time.sleep(60)
