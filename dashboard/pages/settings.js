// Settings: who looks, what may be changed while Dogwatch runs, and the API keys.

import { html } from "../vendor/htm-preact.js";
import { Page } from "../lib/page.js";
import { useSession } from "../lib/session.js";
import { Card } from "../lib/ui.js";
import { AuditCard } from "../operations/audit.js";
import { ConfigCards } from "../operations/config.js";
import { KeysCard } from "../operations/keys.js";
import { Facts } from "../operations/parts.js";
import { SessionsCard } from "../operations/sessions.js";

export default function Settings() {
  const session = useSession();
  const isAdmin = session.may("admin") && !session.isTenant;
  return html`
    <${Page} title="Settings">
      <${Card} title="You">
        <${Facts} items=${[
          ["Key", session.has_key ? session.name : html`none: you own this Dogwatch, and no key was made yet`],
          ["Scopes", session.scopes.join(", ")],
          ["Tenant", session.tenant ?? "all"],
        ]} />
      </${Card}>
      ${isAdmin
        ? html`<${ConfigCards} /><${KeysCard} /><${SessionsCard} /><${AuditCard} />`
        : html`<${Card} title="Thresholds and keys"><p class="soft">Whoever signs in with a key of scope <code>admin</code> changes them here. Ask one of them, or on the machine of Dogwatch: <code>dogwatch keys create NAME --scope admin</code></p></${Card}>`}
    </${Page}>`;
}
