"""A mail server of aiosmtpd: TLS from the beginning on one port, STARTTLS on another, and a login on both.

Arguments: the certificate, its key, the two ports. Prints a line of JSON for each mail that it keeps.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Keeper:
    async def handle_DATA(self, server, session, envelope):
        login = session.auth_data
        kept = {
            "tls": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
            "user": login.login.decode() if isinstance(login, LoginPassword) else None,
            "to": envelope.rcpt_tos,
            "text": envelope.content.decode("utf-8", "replace"),
        }
        print(json.dumps(kept), flush=True)
        return "250 kept"


def authenticate(server, session, envelope, mechanism, data):
    is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"dogwatch", b"right-4711")
    return AuthResult(success=is_right, auth_data=data if is_right else None, handled=is_right)


async def main(certificate, key, tls_port, starttls_port):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    login = {"authenticator": authenticate, "auth_required": True}
    loop = asyncio.get_running_loop()

    def over_tls():
        return SMTP(Keeper(), auth_require_tls=False, **login)

    def after_starttls():
        return SMTP(Keeper(), tls_context=context, require_starttls=True, **login)

    await loop.create_server(over_tls, "127.0.0.1", int(tls_port), ssl=context)
    await loop.create_server(after_starttls, "127.0.0.1", int(starttls_port))
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
