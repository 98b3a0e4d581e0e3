// Signing in with an API key. The server answers with a cookie that scripts cannot read.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { post } from "../lib/api.js";
import { params } from "../lib/asked.js";
import { Copy, ErrorNote } from "../lib/ui.js";
import { navigate } from "../lib/url.js";

const GET_A_LINK = "dogwatch sign-in";
const MAKE_A_KEY = "dogwatch keys create dashboard --scope read";

/** The code of a link, taken out of the address: it works once, and is nobody else's. */
function takeCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) history.replaceState(history.state, "", location.pathname + location.search);
  return code;
}

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
    const code = takeCode();
    if (code) signIn({ code });
  }, []);

  function submit(event) {
    event.preventDefault();
    signIn({ key: input.current.value.trim() });
  }

  async function signIn(shown) {
    setPending(true);
    setError(null);
    try {
      const who = await post("/session", shown);
      onSignedIn(who);
      navigate(next(), { replace: true });
    } catch (problem) {
      const title = shown.code ? "This link does not work" : "This key does not open anything";
      setError(problem.status === 401 ? { title, detail: problem.detail } : problem);
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
      <p class="note">No key was made yet? This prints a link, on the machine and in the folder of Dogwatch:</p>
      <div class="example"><pre tabindex="0" role="region" aria-label="Example of a link">${GET_A_LINK}</pre><${Copy} text=${GET_A_LINK} /></div>
      <p class="note">And this makes a key:</p>
      <div class="example"><pre tabindex="0" role="region" aria-label="Example">${MAKE_A_KEY}</pre><${Copy} text=${MAKE_A_KEY} /></div>
      <p class="note">Scope <code>read</code> looks, <code>write</code> also acts on alerts and jobs.</p>
    </main>`;
}
