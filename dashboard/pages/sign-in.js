// Signing in with an API key. The server answers with a cookie that scripts cannot read.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { post } from "../lib/api.js";
import { params } from "../lib/asked.js";
import { Copy, ErrorNote } from "../lib/ui.js";
import { navigate } from "../lib/url.js";

const MAKE_A_KEY = "dogwatch keys create dashboard --scope read";

/** Where to go after: an address of this dashboard, and of no other site. */
function next() {
  const address = params().get("next") ?? "/";
  const target = new URL(address, location.origin);
  return target.origin === location.origin && target.pathname !== "/sign-in" ? target.pathname + target.search : "/";
}

export default function SignIn({ onSignedIn }) {
  const [error, setError] = useState(null);
  const [isPending, setPending] = useState(false);
  const input = useRef(null);
  useEffect(() => {
    document.title = "Sign in · Dogwatch";
    input.current.focus();
  }, []);

  async function submit(event) {
    event.preventDefault();
    setPending(true);
    setError(null);
    try {
      const who = await post("/session", { key: input.current.value.trim() });
      onSignedIn(who);
      navigate(next(), { replace: true });
    } catch (problem) {
      setError(problem.status === 401 ? { title: "This key does not open anything", detail: problem.detail } : problem);
      setPending(false);
      input.current.select();
    }
  }

  return html`
    <main id="main" class="sign-in" tabindex="-1">
      <div class="brand"><img src="/assets/icon.svg" width="28" height="28" alt="" />Dogwatch</div>
      <h1>Sign in</h1>
      <form onSubmit=${submit}>
        <label for="key">API key</label>
        <input id="key" name="key" ref=${input} type="password" required autocomplete="current-password" placeholder="dw_…" spellcheck=${false} />
        <button type="submit" class="button primary" aria-busy=${isPending}>Sign in</button>
      </form>
      <${ErrorNote} error=${error} />
      <p class="note">No key yet? On the machine of Dogwatch:</p>
      <div class="example"><pre tabindex="0" role="region" aria-label="Example">${MAKE_A_KEY}</pre><${Copy} text=${MAKE_A_KEY} /></div>
      <p class="note">Scope <code>read</code> looks, <code>write</code> also acts on alerts and jobs.</p>
    </main>`;
}
