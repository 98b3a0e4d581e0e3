import{b as k}from"./chunk-FPQXMIIK.js";import{$ as h,G as b,U as y,ba as T,ca as w,d as m,da as S,e as D,fa as f,ga as C,k as s,l as v}from"./chunk-M7XSJUA7.js";var M=[[1,"1 h"],[6,"6 h"],[24,"24 h"],[168,"7 d"],[720,"30 d"]],A={1:"last hour",6:"last 6 hours",24:"last 24 hours",168:"last 7 days",720:"last 30 days"};function V({title:e,trail:t,filters:r=[],actions:o,children:l}){return D(()=>{document.title=`${e} · Dogwatch`},[e]),s`
    <div class="page-head">
      <div class="page-title">${t&&s`<nav class="trail" aria-label="Where this is">${t}</nav>`}<h1>${e}</h1></div>
      ${r.length>0&&s`<${P} names=${r} />`}
      ${o&&s`<div class="actions">${o}</div>`}
    </div>
    <div class="page">${l}</div>`}function X(e=h()){return e.hours?`in the ${A[e.hours]??`last ${e.hours} hours`}`:`from ${O(e)}`}var O=({since:e,until:t})=>`${b(e)} to ${t?b(t):"now"}`;function P({names:e}){let t=k();return s`
    <div class="filters" role="group" aria-label="Filters">
      ${e.includes("service")&&s`<${F} name="service" label="Service" placeholder="All services" suggest=${R} />`}
      ${e.includes("tenant")&&!t.isTenant&&s`<${F} name="tenant" label="Tenant" placeholder="All tenants" suggest=${B} />`}
      ${e.includes("time")&&s`<${H} />`}
    </div>`}var _=e=>[...new Set(e.filter(Boolean))].sort(),R=()=>v("/performance/metrics/endpoints?hours=24&limit=500").then(({items:e})=>_(e.map(t=>t.service))),B=()=>v("/performance/metrics/slow-requests?hours=24&threshold_ms=50&limit=500").then(({items:e})=>_(e.map(t=>t.tenant)));function F({name:e,label:t,placeholder:r,suggest:o}){let{params:l}=w(),a=l.get(e)??"",[c,i]=m(null),u=$=>S(f({[e]:$.target.value.trim()}));return s`
    <label class="name-filter ${a?"is-set":""}">
      <span class="visually-hidden">${t}</span>
      <input type="search" list="known-${e}" value=${a} placeholder=${r} autocomplete="off" spellcheck=${!1}
        onFocus=${()=>c??o().then(i,()=>i([]))} onChange=${u} onSearch=${u} />
      <datalist id="known-${e}">${(c??[]).map($=>s`<option value=${$} />`)}</datalist>
    </label>`}function H(){w();let e=h(),[t,r]=m(!1);return s`
    <div class="ranges" role="group" aria-label="Time range">
      ${M.map(([o,l])=>s`
        <a href=${f({hours:o===1?null:o,since:null,until:null})} title=${A[o]}
          aria-current=${e.hours===o?"true":void 0}>${l}</a>`)}
      <button type="button" aria-haspopup="dialog" aria-pressed=${!!e.since} onClick=${()=>r(!0)}>${e.since?O(e):"Custom"}</button>
    </div>
    ${t&&s`<${I} range=${e} onClose=${()=>r(!1)} />`}`}var g=e=>String(e).padStart(2,"0"),x=e=>{let t=new Date(e);return`${t.getFullYear()}-${g(t.getMonth()+1)}-${g(t.getDate())}T${g(t.getHours())}:${g(t.getMinutes())}`};function I({range:e,onClose:t}){let[r,o]=m(""),l=e.since??Date.now()-e.hours*36e5;function a(c){c.preventDefault();let i=new FormData(c.target),u=new Date(i.get("since")),d=i.get("until")?new Date(i.get("until")):null;return u>=(d??new Date)?o("The begin has to be before the end."):(t(),S(f({hours:null,since:u.toISOString(),until:d?.toISOString()??null})))}return s`
    <${y} title="Time range" onClose=${t}>
      <form class="form" onSubmit=${a}>
        <label>From<input type="datetime-local" name="since" required value=${x(l)} /></label>
        <label>To<input type="datetime-local" name="until" value=${e.until?x(e.until):""} /></label>
        <p class="note">Your local time. Without an end it stays live.</p>
        ${r&&s`<p class="form-error" role="alert">${r}</p>`}
        <div class="form-actions"><button type="submit" class="button primary">Apply</button></div>
      </form>
    </${y}>`}var Z=()=>h().until?6e4:5e3,ee=(e,t,r)=>T(`/performance/metrics/${e}`,t,r);function ae({caption:e,columns:t,rows:r,rowKey:o,sort:l="",param:a="sort",rowClass:c}){let[i,u]=C(a,l),d=i.startsWith("-"),$=t.find(n=>n.value&&n.name===i.replace(/^-/,"")),E=$?[...r].sort((n,p)=>Y($.value(n),$.value(p),d)):r;function N(n){u($===n?d?n.name:`-${n.name}`:n.numeric?`-${n.name}`:n.name)}let W=n=>{let p=$===n?d?"descending":"ascending":void 0;return s`
      <th scope="col" role="columnheader" class=${n.numeric?"numeric":""} aria-sort=${p} title=${n.title}>
        ${n.value?s`<button type="button" class="sort" onClick=${()=>N(n)}>${n.label}<span class="sort-mark" aria-hidden="true">${p?d?"↓":"↑":""}</span></button>`:n.label||s`<span class="visually-hidden">Actions</span>`}
      </th>`},q=(n,p)=>s`
    <td role="cell" class="${n.numeric?"numeric":""} ${n.lead?"lead":""} ${n.wide?"wide":""}" data-label=${n.label}>
      ${n.cell?n.cell(p):n.value(p)}
    </td>`;return s`
    <div class="table-box">
      ${t.some(n=>n.value)&&s`<${K} columns=${t} order=${i} onChange=${u} />`}
      <table role="table">
        <caption class="visually-hidden">${e}</caption>
        <thead role="rowgroup"><tr role="row">${t.map(W)}</tr></thead>
        <tbody role="rowgroup">
          ${E.map(n=>s`<tr role="row" key=${o(n)} class=${c?.(n)??""}>${t.map(p=>q(p,n))}</tr>`)}
        </tbody>
      </table>
    </div>`}function K({columns:e,order:t,onChange:r}){let o=e.filter(a=>a.value).map(a=>[a.numeric?`-${a.name}`:a.name,a.label]),l=o.some(([a])=>a===t);return s`
    <label class="sort-choice">Sorted by
      <select value=${t} onChange=${a=>r(a.target.value)}>
        ${!l&&s`<option value=${t} selected>as they come</option>`}
        ${o.map(([a,c])=>s`<option value=${a} selected=${a===t}>${c}</option>`)}
      </select>
    </label>`}function Y(e,t,r){let o=a=>a==null;if(o(e)||o(t))return o(e)-o(t);let l=typeof e=="string"?e.localeCompare(t):e-t;return r?-l:l}export{V as a,X as b,Z as c,ee as d,ae as e};
