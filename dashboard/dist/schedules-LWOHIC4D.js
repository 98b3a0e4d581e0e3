import{b as u}from"./chunk-IDZ5TEQL.js";import{a as A}from"./chunk-FRM2DHQ7.js";import{a as b,e as x}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{C as _,E as N,G as W,M as f,O as p,R as h,S as v,V as $,Y as E,d as w,ea as T,k as s,m as j,t as S}from"./chunk-M7XSJUA7.js";var q={d:["day",86400],h:["hour",3600],m:["minute",60],s:["second",1]},D={SUN:"Sunday",MON:"Monday",TUE:"Tuesday",WED:"Wednesday",THU:"Thursday",FRI:"Friday",SAT:"Saturday"};function U(e){let t=e.match(/^every (\S+)$/);if(t)return I(t[1]);let a=e.split(/\s+/),o=/[/]\D|^[A-Z][a-z]/.test(a.at(-1))&&a.length>5?a.pop().replaceAll("_"," "):"UTC";return a.length===6&&a[0]==="0"&&a.shift(),a.length===5?R(a,o):null}function I(e){let t=[...e.matchAll(/(\d+)([dhms])/g)];return t.length===0||t.map(a=>a[0]).join("")!==e?null:`Every ${t.map(([,a,o])=>d(Number(a),q[o][0],t.length>1)).join(" ")}`}function d(e,t,a=!1){return e===1?a?`1 ${t}`:t:`${e} ${t}s`}function R([e,t,a,o,i],n){if(o!=="*")return null;let r=C(a,i);if(r===null)return null;let l=m=>m.match(/^\*\/(\d+)$/)?.[1],y=a==="*"&&i==="*",c=y?"":`, ${r}`;if(t==="*"&&e==="*")return`Every minute${c}`;if(t==="*"&&l(e)&&60%l(e)===0)return`Every ${d(Number(l(e)),"minute")}${c}`;if(!/^\d+$/.test(e))return null;let g=e==="0"?"on the hour":`at ${d(Number(e),"minute",!0)} past`;if(t==="*")return`Every hour ${g}${c}`;if(l(t)&&24%l(t)===0)return`Every ${d(Number(l(t)),"hour")} ${g}${c}`;if(!/^\d+(,\d+)*$/.test(t))return null;let k=t.split(",").map(m=>`${m.padStart(2,"0")}:${e.padStart(2,"0")}`);return`${y?"Every day":r.charAt(0).toUpperCase()+r.slice(1)} at ${k.join(", ")} ${n}`}function C(e,t){if(e==="*"&&t==="*")return"every day";if(e!=="*"&&t!=="*")return null;if(e!=="*")return/^\d+$/.test(e)?`on day ${e} of the month`:null;let a=t.toUpperCase().split(",").map(o=>o.split("-").map(i=>D[i]));return a.flat().some(o=>!o)?null:a.map(o=>o.length===2?`${o[0]} to ${o[1]}`:`every ${o[0]}`).join(", ")}var L=`[schedules.nightly_report]
job = "generate_performance_report"
cron = "0 6 * * *"
args = { hours = 24 }`;function F(){let e=S("/schedules"),[t,a]=w({});async function o(n){let r=await j(`/schedules/${encodeURIComponent(n.name)}/run`);a(l=>({...l,[n.name]:r.id})),E(r.is_new?`${n.name} waits for a worker.`:`${n.name} was not enqueued again: a job with its key waits or runs.`,r.is_new?"good":"bad"),e.refresh()}let i=[{name:"name",label:"Schedule",lead:!0,value:n=>n.name,cell:n=>s`<${M} schedule=${n} />`},{name:"when",label:"When",value:n=>n.when,cell:n=>s`<${J} when=${n.when} />`},{name:"next",label:"Next",value:n=>n.enabled?n.next[0]:null,cell:n=>s`<${P} schedule=${n} />`},{name:"last",label:"Last time",value:n=>n.last_run?.at,cell:n=>s`<${z} run=${n.last_run} name=${n.name} />`},{name:"success",label:"Last success",title:"When its job succeeded last, whoever enqueued it",value:n=>n.last_success_at,cell:n=>s`<${$} at=${n.last_success_at} none="unknown" />`},{name:"actions",label:"",numeric:!0,cell:n=>s`<${B} schedule=${n} made=${t[n.name]} run=${o} />`}];return s`
    <${b} title="Schedules">
      <section class="card flush" aria-label="Schedules">
        <${h} poll=${e} lines=${8}>
          ${({items:n})=>n.length===0?s`<${p} title="Nothing is scheduled" example=${L}>Write what runs when into <code>schedules.toml</code>; it is read again within seconds:</${p}>`:s`<${x} caption="Schedules" columns=${i} rows=${n} rowKey=${r=>r.name} />`}
        </${h}>
      </section>
    </${b}>`}function M({schedule:e}){let t=JSON.stringify(e.args);return s`
    <a class="lead-line" href=${T("/jobs",{state:"all",job:e.job})} title="Jobs of this name">${e.name}</a>
    ${!e.enabled&&s` <${f} state="off" />`}
    ${e.job!==e.name&&s`<div class="note">runs ${e.job}</div>`}
    ${t!=="{}"&&s`<div class="note mono clip" title=${t}>${t}</div>`}
    ${e.queue!=="default"&&s`<div class="note">queue ${e.queue}</div>`}`}function J({when:e}){let t=U(e);return t?s`<div>${t}${!e.startsWith("every ")&&s`<div class="note mono">${e}</div>`}</div>`:s`<code>${e}</code>`}function P({schedule:e}){if(!e.enabled)return s`<span class="faint">not while it is off</span>`;if(e.next.length===0)return s`<span class="faint">never</span>`;let[t,...a]=e.next,o=a.length>0&&Date.parse(a[0])-Date.parse(t)<6e4,i=n=>o?N(n):W(n);return s`
    <div><${$} at=${t} />
      ${a.length>0&&s`<div class="note">${[t,...a].map((n,r)=>s`${r>0?", ":""}<time datetime=${n} title=${_(n)}>${i(n)}</time>`)}</div>`}
    </div>`}function z({run:e,name:t}){if(!e)return s`<span class="faint">none yet</span>`;let a=e.outcome==="skipped";return s`
    <div>
      <${f} state=${e.outcome} tone=${a?"warn":"good"} />
      <div class="note">${e.job_id&&!a?s`<a href=${u(e.job_id)}><${$} at=${e.at} /><span class="visually-hidden">, the job of ${t}</span></a>`:s`<${$} at=${e.at} />`}</div>
      ${a&&s`<div class="note">${e.reason} ${e.job_id&&s`<a href=${u(e.job_id)}>(the run before)</a>`}</div>`}
    </div>`}function B({schedule:e,made:t,run:a}){let o=A();return s`
    <div class="row-actions">
      ${t&&s`<a href=${u(t)}>Job ${t.slice(-8)}</a>`}
      <${v} kind="small" why=${o} aria-label="Run ${e.name} now" onClick=${()=>a(e)}>Run now</${v}>
    </div>`}export{F as default};
