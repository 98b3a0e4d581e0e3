import{b as c}from"./chunk-F4HTYYJN.js";import{a as x}from"./chunk-FRM2DHQ7.js";import{a as b,e as T}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{C as _,E as N,G as q,M as f,O as p,R as h,S as v,V as $,Y as W,d as w,ea as E,k as o,m as j,t as S}from"./chunk-M7XSJUA7.js";var k={d:["day",86400],h:["hour",3600],m:["minute",60],s:["second",1]},D={SUN:"Sunday",MON:"Monday",TUE:"Tuesday",WED:"Wednesday",THU:"Thursday",FRI:"Friday",SAT:"Saturday"};function A(e){let t=e.match(/^every (\S+)$/);if(t)return I(t[1]);let a=e.split(/\s+/),s=/[/]\D|^[A-Z][a-z]/.test(a.at(-1))&&a.length>5?a.pop().replaceAll("_"," "):"UTC";return a.length===6&&a[0]==="0"&&a.shift(),a.length===5?R(a,s):null}function I(e){let t=[...e.matchAll(/(\d+)([dhms])/g)];return t.length===0||t.map(a=>a[0]).join("")!==e?null:`Every ${t.map(([,a,s])=>d(Number(a),k[s][0],t.length>1)).join(" ")}`}function d(e,t,a=!1){return e===1?a?`1 ${t}`:t:`${e} ${t}s`}function R([e,t,a,s,i],n){if(s!=="*")return null;let r=C(a,i);if(r===null)return null;let l=m=>m.match(/^\*\/(\d+)$/)?.[1],y=a==="*"&&i==="*",u=y?"":`, ${r}`;if(t==="*"&&e==="*")return`Every minute${u}`;if(t==="*"&&l(e)&&60%l(e)===0)return`Every ${d(Number(l(e)),"minute")}${u}`;if(!/^\d+$/.test(e))return null;let g=e==="0"?"on the hour":`at ${d(Number(e),"minute",!0)} past`;if(t==="*")return`Every hour ${g}${u}`;if(l(t)&&24%l(t)===0)return`Every ${d(Number(l(t)),"hour")} ${g}${u}`;if(!/^\d+(,\d+)*$/.test(t))return null;let U=t.split(",").map(m=>`${m.padStart(2,"0")}:${e.padStart(2,"0")}`);return`${y?"Every day":r.charAt(0).toUpperCase()+r.slice(1)} at ${U.join(", ")} ${n}`}function C(e,t){if(e==="*"&&t==="*")return"every day";if(e!=="*"&&t!=="*")return null;if(e!=="*")return/^\d+$/.test(e)?`on day ${e} of the month`:null;let a=t.toUpperCase().split(",").map(s=>s.split("-").map(i=>D[i]));return a.flat().some(s=>!s)?null:a.map(s=>s.length===2?`${s[0]} to ${s[1]}`:`every ${s[0]}`).join(", ")}var L=`[schedules.nightly_report]
job = "generate_performance_report"
cron = "0 6 * * *"
args = { hours = 24 }`;function F(){let e=S("/schedules"),[t,a]=w({});async function s(n){let r=await j(`/schedules/${encodeURIComponent(n.name)}/run`);a(l=>({...l,[n.name]:{id:r.id,queue:n.queue}})),W(r.is_new?`${n.name} waits for a worker.`:`${n.name} was not enqueued again: a job with its key waits or runs.`,r.is_new?"good":"bad"),e.refresh()}let i=[{name:"name",label:"Schedule",lead:!0,value:n=>n.name,cell:n=>o`<${M} schedule=${n} />`},{name:"when",label:"When",value:n=>n.when,cell:n=>o`<${J} when=${n.when} />`},{name:"next",label:"Next",value:n=>n.enabled?n.next[0]:null,cell:n=>o`<${P} schedule=${n} />`},{name:"last",label:"Last time",value:n=>n.last_run?.at,cell:n=>o`<${z} run=${n.last_run} name=${n.name} />`},{name:"success",label:"Last success",title:"When its job succeeded last, whoever enqueued it",value:n=>n.last_success_at,cell:n=>o`<${$} at=${n.last_success_at} none="unknown" />`},{name:"actions",label:"",numeric:!0,cell:n=>o`<${B} schedule=${n} made=${t[n.name]} run=${s} />`}];return o`
    <${b} title="Schedules">
      <section class="card flush" aria-label="Schedules">
        <${h} poll=${e} lines=${8}>
          ${({items:n})=>n.length===0?o`<${p} title="Nothing is scheduled" example=${L}>Write what runs when into <code>schedules.toml</code>; it is read again within seconds:</${p}>`:o`<${T} caption="Schedules" columns=${i} rows=${n} rowKey=${r=>r.name} />`}
        </${h}>
      </section>
    </${b}>`}function M({schedule:e}){let t=JSON.stringify(e.args);return o`
    <a class="lead-line" href=${E("/jobs",{state:"all",job:e.job})} title="Jobs of this name">${e.name}</a>
    ${!e.enabled&&o` <${f} state="off" />`}
    ${e.job!==e.name&&o`<div class="note">runs ${e.job}</div>`}
    ${t!=="{}"&&o`<div class="note mono clip" title=${t}>${t}</div>`}
    ${e.queue!=="default"&&o`<div class="note">queue ${e.queue}</div>`}`}function J({when:e}){let t=A(e);return t?o`<div>${t}${!e.startsWith("every ")&&o`<div class="note mono">${e}</div>`}</div>`:o`<code>${e}</code>`}function P({schedule:e}){if(!e.enabled)return o`<span class="faint">not while it is off</span>`;if(e.next.length===0)return o`<span class="faint">never</span>`;let[t,...a]=e.next,s=a.length>0&&Date.parse(a[0])-Date.parse(t)<6e4,i=n=>s?N(n):q(n);return o`
    <div><${$} at=${t} />
      ${a.length>0&&o`<div class="note">${[t,...a].map((n,r)=>o`${r>0?", ":""}<time datetime=${n} title=${_(n)}>${i(n)}</time>`)}</div>`}
    </div>`}function z({run:e,name:t}){if(!e)return o`<span class="faint">none yet</span>`;let a=e.outcome==="skipped";return o`
    <div>
      <${f} state=${e.outcome} tone=${a?"warn":"good"} />
      <div class="note">${e.job_id&&!a?o`<a href=${c({id:e.job_id,queue:e.queue})}><${$} at=${e.at} /><span class="visually-hidden">, the job of ${t}</span></a>`:o`<${$} at=${e.at} />`}</div>
      ${a&&o`<div class="note">${e.reason} ${e.job_id&&o`<a href=${c({id:e.job_id,queue:e.queue})}>(the run before)</a>`}</div>`}
    </div>`}function B({schedule:e,made:t,run:a}){let s=x();return o`
    <div class="row-actions">
      ${t&&o`<a href=${c(t)}>Job ${t.id.slice(-8)}</a>`}
      <${v} kind="small" why=${s} aria-label="Run ${e.name} now" onClick=${()=>a(e)}>Run now</${v}>
    </div>`}export{F as default};
