import{a as T,d as p,e as N,f as v,g as O,h as _,i as E,j as F}from"./chunk-7CYYEZQR.js";import{a as A,b as u,c}from"./chunk-FRM2DHQ7.js";import{c as k,d as I}from"./chunk-6QIGAD6N.js";import{a as i,e as q}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as J,N as n,O as g,R as w,S as y,T as m,V as o,Y as d,ca as S,d as C,ea as $,k as e,t as x}from"./chunk-M7XSJUA7.js";var P=()=>e`<a href=${$("/jobs",{state:"all"})}>Jobs</a>`;function W(){let t=S().params.get("id"),s=x(t&&`/jobs/${encodeURIComponent(t)}`,{every:2e3}),a=s.data;return t?e`
    <${i} title=${a?a.job||"Unreadable job":"Job"} trail=${P()} actions=${a&&e`<${L} job=${a} refresh=${s.refresh} />`}>
      <${w} poll=${s} lines=${10}>
        ${r=>e`
          <div class="columns-2">
            <div class="stack">
              <${B} job=${r} />
              <${D} job=${r} />
            </div>
            <div class="stack">
              <${n} title="Arguments" aside=${e`<${m} text=${JSON.stringify(r.args)} />`}><${k} value=${r.args} label="Arguments" /></${n}>
              ${r.result!==null&&e`<${n} title="Result"><${k} value=${r.result} label="Result" /></${n}>`}
            </div>
          </div>`}
      </${w}>
    </${i}>`:e`<${i} title="Job" trail=${P()}><${g} title="Which job?">Choose one in the <a href=${$("/jobs",{state:"all"})}>list of jobs</a>.</${g}></${i}>`}function B({job:t}){return e`
    <${n}>
      <div class="state-line"><${T} state=${t.state} /><${F} value=${t.progress} /></div>
      ${t.error&&e`<pre class="code error-text" tabindex="0" role="region" aria-label="Error">${t.error}</pre>`}
      <${I} items=${[["Id",e`<span class="mono">${t.id}</span> <${m} text=${t.id} />`],["Queue",e`<a href=${$("/jobs",{state:"all",queue:t.queue})}>${t.queue}</a>`],["Attempt",t.max_attempts?_(t):e`${_(t)} <span class="faint">(as many as the job's own policy allows)</span>`],["Schedule",t.schedule&&e`<a href=${$("/schedules")}>${t.schedule}</a>`],["Trace",t.trace_id&&e`<span class="mono">${t.trace_id}</span> <${m} text=${t.trace_id} />`],["Unique key",t.unique_key&&e`<code>${t.unique_key}</code>`],["Enqueued",e`<${o} at=${t.enqueued_at} none="unknown" />`],["Due",t.run_at&&e`<${o} at=${t.run_at} />`],["Begun",t.started_at&&e`<${o} at=${t.started_at} />`],["Ended",t.finished_at&&e`<${o} at=${t.finished_at} />`],["Took",t.started_at&&e`<${E} job=${t} />`],["Worker",t.worker&&e`<a class="mono" href=${$("/workers")}>${t.worker}</a>`]]} />
    </${n}>`}function D({job:t}){if(t.errors.length===0)return null;let s=[{name:"attempt",label:"Attempt",numeric:!0,value:a=>a.attempt},{name:"at",label:"When",value:a=>a.at,cell:a=>e`<${o} at=${a.at} />`},{name:"error",label:"Error",lead:!0,cell:a=>e`<span class="job-error">${a.error}</span>`}];return e`
    <${n} title="Failed attempts" flush=${!0} note=${t.errors.length>=10?"The last ten":J(t.errors.length,"attempt")}>
      <${q} caption="Failed attempts" columns=${s} rows=${t.errors} rowKey=${a=>`${a.attempt} ${a.at}`} sort="-at" param="failures" />
    </${n}>`}function L({job:t,refresh:s}){let a=A(),r=p(t);async function h(){await v(t),d("It waits for a worker."),s()}async function f(){await O(t),d(t.state==="running"?"Its worker was told to stop it.":"Cancelled."),s()}return e`
    ${N(t)&&e`
      <${c} why=${a} dialog=${l=>e`
        <${u} title="Cancel this job?" submit="Cancel the job" kind="danger" onSubmit=${f} onClose=${l}>
          <p>${t.state==="running"?"Its worker is told to stop it; what it has done so far stays done.":"It will not run, unless somebody runs it again."}</p>
        </${u}>`}>Cancel</${c}>`}
    ${r&&e`
      <${c} why=${a} dialog=${l=>e`<${U} job=${t} refresh=${s} onClose=${l} />`}>${r} with other arguments</${c}>
      <${y} kind="primary" why=${a} onClick=${h}>${r}</${y}>`}`}function U({job:t,refresh:s,onClose:a}){let[r,h]=C(()=>JSON.stringify(t.args,null,2));async function f(){let l;try{l=JSON.parse(r)}catch(R){throw{title:"This is not JSON",detail:R.message}}await v(t,l),d("It waits for a worker, with these arguments."),s()}return e`
    <${u} title="${p(t)} with other arguments" submit=${p(t)} onSubmit=${f} onClose=${a}>
      <label>Arguments (a JSON object)<textarea class="mono" rows="10" spellcheck=${!1} value=${r} onInput=${l=>h(l.target.value)}></textarea></label>
    </${u}>`}export{W as default};
