import{P as h,T as r,_ as f,d as i,da as g,e as d,g as p,k as m,m as u}from"./chunk-M7XSJUA7.js";var y="dogwatch sign-in",b="dogwatch keys create dashboard --scope read";function $(){let t=new URLSearchParams(location.hash.slice(1)).get("code");return t&&history.replaceState(history.state,"",location.pathname+location.search),t}function v(){let t=f().get("next")??"/",n=new URL(t,location.origin);return n.origin===location.origin&&n.pathname!=="/sign-in"?n.pathname+n.search:"/"}function S({onSignedIn:t}){let[n,s]=i(null),[k,c]=i(!1),a=p(null);d(()=>{document.title="Sign in · Dogwatch",a.current.focus();let e=$();e&&l({code:e})},[]);function w(e){e.preventDefault(),l({key:a.current.value.trim()})}async function l(e){c(!0),s(null);try{let o=await u("/session",e);t(o),g(v(),{replace:!0})}catch(o){let x=e.code?"This link does not work":"This key does not open anything";s(o.status===401?{title:x,detail:o.detail}:o),c(!1),a.current.select()}}return m`
    <main id="main" class="sign-in" tabindex="-1">
      <div class="brand"><img src="/assets/icon.svg" width="28" height="28" alt="" />Dogwatch</div>
      <h1>Sign in</h1>
      <form onSubmit=${w}>
        <label for="key">API key</label>
        <input id="key" name="key" ref=${a} type="password" required autocomplete="current-password" placeholder="dw_…" spellcheck=${!1} />
        <button type="submit" class="button primary" aria-busy=${k}>Sign in</button>
      </form>
      <${h} error=${n} />
      <p class="note">No key was made yet? This prints a link, on the machine and in the folder of Dogwatch:</p>
      <div class="example"><pre tabindex="0" role="region" aria-label="Example of a link">${y}</pre><${r} text=${y} /></div>
      <p class="note">And this makes a key:</p>
      <div class="example"><pre tabindex="0" role="region" aria-label="Example">${b}</pre><${r} text=${b} /></div>
      <p class="note">Scope <code>read</code> looks, <code>write</code> also acts on alerts and jobs.</p>
    </main>`}export{S as default};
