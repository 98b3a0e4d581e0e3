import{P as d,T as u,_ as m,d as r,da as g,e as s,g as c,k as l,m as p}from"./chunk-M7XSJUA7.js";var f="dogwatch keys create dashboard --scope read";function w(){let o=m().get("next")??"/",e=new URL(o,location.origin);return e.origin===location.origin&&e.pathname!=="/sign-in"?e.pathname+e.search:"/"}function k({onSignedIn:o}){let[e,a]=r(null),[h,i]=r(!1),n=c(null);s(()=>{document.title="Sign in · Dogwatch",n.current.focus()},[]);async function y(b){b.preventDefault(),i(!0),a(null);try{let t=await p("/session",{key:n.current.value.trim()});o(t),g(w(),{replace:!0})}catch(t){a(t.status===401?{title:"This key does not open anything",detail:t.detail}:t),i(!1),n.current.select()}}return l`
    <main id="main" class="sign-in" tabindex="-1">
      <div class="brand"><img src="/assets/icon.svg" width="28" height="28" alt="" />Dogwatch</div>
      <h1>Sign in</h1>
      <form onSubmit=${y}>
        <label for="key">API key</label>
        <input id="key" name="key" ref=${n} type="password" required autocomplete="current-password" placeholder="dw_…" spellcheck=${!1} />
        <button type="submit" class="button primary" aria-busy=${h}>Sign in</button>
      </form>
      <${d} error=${e} />
      <p class="note">No key yet? On the machine of Dogwatch:</p>
      <div class="example"><pre tabindex="0" role="region" aria-label="Example">${f}</pre><${u} text=${f} /></div>
      <p class="note">Scope <code>read</code> looks, <code>write</code> also acts on alerts and jobs.</p>
    </main>`}export{k as default};
