import{a as w,c as Q}from"./chunk-BAFQAQVL.js";import{a as L,b as W,c as k}from"./chunk-FPQXMIIK.js";import{B,C as F,E as z,K as p,L as q,O as A,P as y,Q as I,U as C,Z as G,a as H,b as K,ca as b,d,da as m,e as l,ea as f,f as M,g,ha as J,j as P,k as r,l as j,o as R,p as _,q as S,r as N,s as T,u as x,v as E}from"./chunk-M7XSJUA7.js";var U=[{path:"/",title:"Overview",file:"overview",icon:"overview",group:"Requests",key:"o"},{path:"/endpoints",title:"Endpoints",file:"endpoints",icon:"endpoints",group:"Requests",key:"e"},{path:"/endpoint",title:"Endpoint",file:"endpoint",within:"/endpoints"},{path:"/queries",title:"Queries",file:"queries",icon:"queries",group:"Requests",key:"q"},{path:"/query",title:"Query",file:"query",within:"/queries"},{path:"/alerts",title:"Alerts",file:"alerts",icon:"alerts",group:"Health",key:"a"},{path:"/alert",title:"Alert",file:"alert",within:"/alerts"},{path:"/services",title:"Services",file:"services",icon:"services",group:"Health",key:"s",ofAllTenants:!0},{path:"/jobs",title:"Jobs",file:"jobs",icon:"jobs",group:"Work",key:"j",ofAllTenants:!0},{path:"/job",title:"Job",file:"job",within:"/jobs",ofAllTenants:!0},{path:"/schedules",title:"Schedules",file:"schedules",icon:"schedules",group:"Work",key:"c",ofAllTenants:!0},{path:"/workers",title:"Workers",file:"workers",icon:"workers",group:"Work",key:"w",ofAllTenants:!0},{path:"/reports",title:"Reports",file:"reports",icon:"reports",group:"More",key:"r"},{path:"/settings",title:"Settings",file:"settings",icon:"settings",group:"More",key:","}],O=e=>U.find(t=>t.path===e)??null,V=e=>U.filter(t=>t.group&&!(t.ofAllTenants&&e.isTenant));var ae=e=>e.closest?.("input, select, textarea, [contenteditable]");function X(e,t){l(()=>{let o=0,s=n=>{if(!(n.ctrlKey||n.metaKey||n.altKey||ae(n.target)||document.querySelector("dialog[open]"))){if(Date.now()<o){o=0;let i=e.find(c=>c.key===n.key);i&&(n.preventDefault(),m(f(i.path)));return}if(n.key==="g")o=Date.now()+1500;else if(n.key==="t")w();else if(n.key==="?")t();else if(n.key==="/"){n.preventDefault();let i=document.querySelector("[data-filter]")??document.querySelector(".filters input");i?.focus(),i?.select?.()}}};return document.addEventListener("keydown",s),()=>document.removeEventListener("keydown",s)},[e,t])}function Y({menu:e,onClose:t}){return r`
    <${C} title="Keyboard shortcuts" onClose=${t}>
      <dl class="keys">
        <dt><kbd>/</kbd></dt><dd>To the filter</dd>
        <dt><kbd>t</kbd></dt><dd>Dark or light</dd>
        <dt><kbd>?</kbd></dt><dd>This list</dd>
        ${e.map(o=>r`<dt><kbd>g</kbd> <kbd>${o.key}</kbd></dt><dd>${o.title}</dd>`)}
        <dt><kbd>Esc</kbd></dt><dd>Closes a dialog</dd>
      </dl>
      <p class="note">In a chart, drag across a time to look closer; the back button of the browser undoes it. With the keyboard: arrows read it out.</p>
    </${C}>`}function D({route:e,onSignedOut:t,children:o}){let s=W(),[n,i]=d(!1),[c,h]=d(!1),{path:$}=b(),a=V(s);l(()=>i(!1),[$]),X(a,()=>h(!0));let ne=a.map((u,re)=>{let se=u.path===(e?.within??e?.path),ie=u.group!==a[re-1]?.group;return r`
      ${ie&&r`<li class="menu-group">${u.group}</li>`}
      <li><a href=${f(u.path)} aria-current=${se?"page":void 0}><${p} name=${u.icon} />${u.title}</a></li>`});return r`
    <a class="skip" href="#main">Skip to the content</a>
    <header class="topbar">
      <button type="button" class="button quiet icon-only" aria-expanded=${n} aria-controls="menu" aria-label="Menu" onClick=${()=>i(!n)}>
        <${p} name=${n?"close":"menu"} />
      </button>
      <${Z} />
      <${ee} />
    </header>
    <nav id="menu" class="menu ${n?"open":""}" aria-label="Pages" onKeyDown=${u=>u.key==="Escape"&&i(!1)}>
      <${Z} />
      <ul>${ne}</ul>
      <${le} session=${s} onHelp=${()=>h(!0)} onSignedOut=${t} />
    </nav>
    <main id="main" tabindex="-1">
      <${ue} />
      ${o}
    </main>
    ${c&&r`<${Y} menu=${a} onClose=${()=>h(!1)} />`}
    <${G} />`}var Z=()=>r`<a class="brand" href=${f("/")}><img src="/assets/icon.svg" width="20" height="20" alt="" />Dogwatch</a>`;function le({session:e,onHelp:t,onSignedOut:o}){let s=Q(),n=()=>R("/session").finally(o);return r`
    <div class="menu-foot">
      <${ee} />
      <ul>
        <li><a href="/docs"><${p} name="book" />API</a></li>
        <li><button type="button" onClick=${t}><${p} name="keyboard" />Shortcuts</button></li>
        <li><button type="button" onClick=${w}><${p} name="theme" />${s==="dark"?"Light theme":"Dark theme"}</button></li>
        ${e.has_key&&r`<li><button type="button" onClick=${n}><${p} name="out" />Sign out</button></li>`}
      </ul>
      ${e.has_key&&r`<p class="who" title=${e.scopes.join(", ")}>${e.name}${e.isTenant?` · ${e.tenant}`:""}</p>`}
    </div>`}function ee(){let{stale:e,lastAnswer:t}=x();E(5e3);let o=t?`Last answer: ${F(t)}`:void 0;return r`<span class="live tone-${e?"warn":"good"}" title=${o}><${q} tone=${e?"warn":"good"} />${e?"Stale":"Live"}</span>`}function ue(){let{stale:e}=x(),t=E(1e3),o=g(null),s=e&&`Stale since ${z(e.since)} (${B(e.since,t)}). ${e.error.detail??""}`,n=e&&Math.max(0,Math.ceil((e.next-t)/1e3));return r`
    <div class="stale-box" ref=${o} role="status">
      ${e&&r`
        <div class="stale"><${q} tone="warn" /><span>${s} <span class="note" aria-hidden="true">Asked again in ${n} s.</span></span>
          <button type="button" class="button small" onClick=${_}>Try now</button></div>`}
    </div>`}var ce=H({"./pages/alert.js":()=>import("./alert-Y4N5LP3X.js"),"./pages/alerts.js":()=>import("./alerts-4A7RCTQW.js"),"./pages/endpoint.js":()=>import("./endpoint-UTMN7XP6.js"),"./pages/endpoints.js":()=>import("./endpoints-HFTDQKWV.js"),"./pages/job.js":()=>import("./job-LKZYJI6Y.js"),"./pages/jobs.js":()=>import("./jobs-JBQZ4ZWP.js"),"./pages/overview.js":()=>import("./overview-LHS5MTRO.js"),"./pages/queries.js":()=>import("./queries-TWIPWSNH.js"),"./pages/query.js":()=>import("./query-XM2Z25DY.js"),"./pages/reports.js":()=>import("./reports-2Z3POVAJ.js"),"./pages/schedules.js":()=>import("./schedules-WTSXPPUU.js"),"./pages/services.js":()=>import("./services-GYJVMPXG.js"),"./pages/settings.js":()=>import("./settings-RSDDNIHL.js"),"./pages/sign-in.js":()=>import("./sign-in-XOAVFGX2.js"),"./pages/workers.js":()=>import("./workers-3UIWRV3O.js")});var v=new Map,de={file:"sign-in"};function oe({file:e}){if(!e)return null;if(v.has(e))return v.get(e).whenLoaded;let t={whenLoaded:null};return v.set(e,t),t.whenLoaded=ce(`./pages/${e}.js`).then(o=>{t.view=o.default}).catch(o=>{t.error={title:"This page could not be loaded",detail:o.message}}),t.whenLoaded}function pe(e){let[,t]=d(0);oe(e);let o=v.get(e.file),s=!!(o?.view||o?.error);return l(()=>{if(!o||s)return;let n=!1;return o.whenLoaded.then(()=>n||t(i=>i+1)),()=>{n=!0}},[o]),s?o:null}function te({route:e,...t}){let o=pe(e??{}),[s,n]=P(i=>console.error(i));return l(n,[e]),e?s?r`<${y} error=${{title:"This page broke",detail:`${s.message}. Load it again; if it stays so, tell us.`}} />`:o?o.error?r`<${y} error=${o.error} />`:r`<${o.view} ...${t} />`:r`<${I} lines=${8} />`:r`<${A} title="There is no such page">Choose another in the menu, or go to the <a href=${f("/")}>overview</a>.</${A}>`}function fe(e){let t=g(!0);l(()=>{if(t.current){t.current=!1;return}window.scrollTo(0,0),document.getElementById("main")?.focus({preventScroll:!0})},[e])}function he(){let{path:e}=b(),[t,o]=d(()=>S("/session")&&k(S("/session"))),[s,n]=d(null);fe(e);let i=()=>{location.pathname!=="/sign-in"&&(o(null),T(),m(`/sign-in?next=${encodeURIComponent(location.pathname+location.search)}`,{replace:!0}))},c=()=>j("/session").then(a=>{n(null),o(k(a))},a=>a.status===401?i():n(a));M(()=>(window.addEventListener("unauthorized",i),location.pathname!=="/sign-in"&&!t&&c(),()=>window.removeEventListener("unauthorized",i)),[]);let h=t!==null;if(l(()=>{if(h||!s?.isPassing)return;let a=setInterval(c,5e3);return()=>clearInterval(a)},[h,s]),e==="/sign-in")return r`<${te} key=${e} route=${de} onSignedIn=${a=>o(k(a))} />`;if(!t)return r`<div class="alone">${s?r`<${y} error=${s} onRetry=${c} />`:r`<${I} />`}</div>`;let $=O(e);return r`
    <${L.Provider} value=${t}>
      <${D} route=${$} onSignedOut=${()=>{o(null),T(),m("/sign-in")}}>
        <${te} key=${e} route=${$} />
      </${D}>
    </${L.Provider}>`}J();await Promise.all([N(),oe(O(location.pathname)??{})]);K(r`<${he} />`,document.getElementById("app"));
