import{a as u,b as r,f as $,g as p}from"./chunk-FRM2DHQ7.js";import{e as x}from"./chunk-7NRPVOUC.js";import{I as k,J as h,M as S,N as f,O as b,R as g,S as c,V as i,Y as d,d as w,k as n,m,o as v}from"./chunk-M7XSJUA7.js";var A=[["30m","30 minutes"],["1h","1 hour"],["4h","4 hours"],["12h","12 hours"],["24h","1 day"],["168h","7 days"],["720h","30 days"]],N=e=>e.status==="active"||e.status==="acknowledged"||e.status==="pending",C=[{name:"acknowledge",label:"Acknowledge",key:"a",fits:e=>e.status==="active"||e.status==="pending"},{name:"silence",label:"Silence",key:"s",fits:N},{name:"resolve",label:"Resolve",key:"r",fits:N}];function H(e){let[o,s]=w(null),a=()=>s(null),t=o&&E[o.name];return[t&&n`<${t} alert=${o.alert} onClose=${a} onDone=${e} />`,(T,_)=>s({name:T,alert:_})]}var y=e=>n`<p class="soft">${e.title}</p>`;function O({alert:e,onClose:o,onDone:s}){async function a(t){await m(`/performance/alerts/${e.id}/acknowledge`,{by:p(t),note:t.get("note").trim()||null}),d("Acknowledged. Nobody is told again until it changes."),s()}return n`
    <${r} title="Acknowledge alert" submit="Acknowledge" onSubmit=${a} onClose=${o}>
      ${y(e)}
      <label>Note<textarea name="note" rows="3" maxlength="4000" autofocus placeholder="What you know, and what you do about it"></textarea></label>
      <${$} />
    </${r}>`}function R({alert:e,onClose:o,onDone:s}){async function a(t){await m(`/performance/alerts/${e.id}/silence`,{by:p(t),comment:t.get("comment").trim()||null,duration:t.get("duration")}),d(`Silenced for ${A.find(([l])=>l===t.get("duration"))[1]}.`),s()}return n`
    <${r} title="Silence alert" submit="Silence" onSubmit=${a} onClose=${o}>
      ${y(e)}
      <p class="note">Nobody is told of this alert, or of others of its type and scope, until then. It is still shown here.</p>
      <label>For<select name="duration" autofocus>${A.map(([t,l])=>n`<option value=${t} selected=${t==="1h"}>${l}</option>`)}</select></label>
      <label>Comment<textarea name="comment" rows="2" maxlength="4000" placeholder="Why, such as “deploy of payments 4.2”"></textarea></label>
      <${$} />
    </${r}>`}function B({alert:e,onClose:o,onDone:s}){async function a(t){await m(`/performance/alerts/${e.id}/resolve`,{by:p(t),note:t.get("note").trim()||null}),d("Resolved."),s()}return n`
    <${r} title="Resolve alert" submit="Resolve" onSubmit=${a} onClose=${o}>
      ${y(e)}
      <p class="note">Should its condition still hold, it is raised again.</p>
      <label>Note<textarea name="note" rows="3" maxlength="4000" autofocus placeholder="What it was"></textarea></label>
      <${$} />
    </${r}>`}var E={acknowledge:O,silence:R,resolve:B};var j={critical:4,high:3,medium:2,low:1},Q=e=>j[e.severity]??0,D={active:"bad",acknowledged:"mild",pending:"none",resolved:"good"},X=({alert:e})=>n`<${S} state=${e.status} tone=${D[e.status]} />`;function Y({alert:e}){return e.value===null?n`<span class="faint">–</span>`:n`<span class="nowrap"><strong>${h(e.value,e.unit)}</strong>${e.threshold!==null&&n`<span class="faint"> / ${h(e.threshold,e.unit)}</span>`}</span>`}function Z({alert:e,silence:o}){return n`
    ${e.status==="acknowledged"&&n`<div class="note">by ${e.acknowledged_by}, <${i} at=${e.acknowledged_at} /></div>`}
    ${e.status==="resolved"&&n`<div class="note"><${i} at=${e.resolved_at} /></div>`}
    ${e.note&&n`<div class="note clip" title=${e.note}>“${e.note}”</div>`}
    ${e.is_flapping&&n`<div class="note">comes and goes, ${k(e.reopened,"time")} so far</div>`}
    ${o&&e.status!=="resolved"&&n`<div class="note">silenced, ends <${i} at=${o.ends_at} /></div>`}`}function ee({alert:e,ask:o,kind:s="small"}){let a=u("alerts"),t=C.filter(l=>l.fits(e));return n`
    <div class="row-actions">
      ${t.map(l=>n`
        <${c} key=${l.name} kind=${s} why=${a} aria-haspopup="dialog" aria-label="${l.label}: ${e.title}" onClick=${()=>o(l.name,e)}>${l.label}</${c}>`)}
    </div>`}var ie=(e,o)=>o.find(s=>Date.parse(s.starts_at)<=Date.now()&&L(s.match,e.labels));function L(e,o){return Object.entries(e).every(([s,a])=>[a].flat().some(t=>W(o[s]??"",t)))}function W(e,o){let s=o.split("*").map(a=>a.replace(/[.+?^${}()|[\]\\]/g,"\\$&"));return new RegExp(`^${s.join(".*")}$`,"s").test(e)}var I=({labels:e})=>n`
  <ul class="labels">${Object.entries(e).map(([o,s])=>n`<li><span>${o}</span> ${[s].flat().join(" or ")}</li>`)}</ul>`;function re({poll:e}){let o=u("alerts");async function s(t){await v(`/performance/silences/${t.id}`),d("The silence is over."),e.refresh()}let a=[{name:"match",label:"Alerts with",lead:!0,cell:t=>n`<${I} labels=${t.match} />`},{name:"comment",label:"Comment",cell:t=>t.comment||n`<span class="faint">no comment</span>`},{name:"by",label:"By",cell:t=>t.created_by},{name:"starts",label:"Begins",cell:t=>n`<${i} at=${t.starts_at} />`},{name:"ends",label:"Ends",cell:t=>n`<${i} at=${t.ends_at} />`},{name:"end",label:"",numeric:!0,cell:t=>n`<${c} kind="small" why=${o} onClick=${()=>s(t)}>End now</${c}>`}];return n`
    <${f} title="Silences" flush=${!0} note="Alerts that nobody is told of for a while">
      <${g} poll=${e} lines=${2}>
        ${({items:t})=>t.length===0?n`<${b} title="Nothing is silenced">Silence an alert above while you work on it.</${b}>`:n`<${x} caption="Silences" columns=${a} rows=${t} rowKey=${l=>l.id} />`}
      </${g}>
    </${f}>`}export{C as a,H as b,Q as c,X as d,Y as e,Z as f,ee as g,ie as h,I as i,re as j};
