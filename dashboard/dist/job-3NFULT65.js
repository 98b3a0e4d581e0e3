import{a as N,d as h,e as O,f as _,g as E,h as F,i as C,j as P,k as R}from"./chunk-IDZ5TEQL.js";import{a as D,b as i,c as $}from"./chunk-FRM2DHQ7.js";import{c as v,d as T}from"./chunk-6QIGAD6N.js";import{a as m,e as A}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as J,N as n,O as w,R as y,S as k,T as p,V as c,Y as d,ca as I,d as S,da as q,ea as l,k as e,t as x}from"./chunk-M7XSJUA7.js";var W=()=>e`<a href=${l("/jobs",{state:"all"})}>Jobs</a>`;function B(){let t=I().params.get("id"),s=x(t&&`/jobs/${encodeURIComponent(t)}`,{every:2e3}),a=s.data;return t?e`
    <${m} title=${a?a.job||"Unreadable job":"Job"} trail=${W()} actions=${a&&e`<${b} job=${a} refresh=${s.refresh} />`}>
      <${y} poll=${s} lines=${10}>
        ${r=>e`
          <div class="columns-2">
            <div class="stack">
              <${L} job=${r} />
              <${U} job=${r} />
            </div>
            <div class="stack">
              <${n} title="Arguments" aside=${e`<${p} text=${JSON.stringify(r.args)} />`}><${v} value=${r.args} label="Arguments" /></${n}>
              ${r.result!==null&&e`<${n} title="Result"><${v} value=${r.result} label="Result" /></${n}>`}
            </div>
          </div>`}
      </${y}>
    </${m}>`:e`<${m} title="Job" trail=${W()}><${w} title="Which job?">Choose one in the <a href=${l("/jobs",{state:"all"})}>list of jobs</a>.</${w}></${m}>`}function L({job:t}){return e`
    <${n}>
      <div class="state-line"><${N} state=${t.state} /><${R} value=${t.progress} /></div>
      ${t.error&&e`<pre class="code error-text" tabindex="0" role="region" aria-label="Error">${t.error}</pre>`}
      <${T} items=${[["Id",e`<span class="mono">${t.id}</span> <${p} text=${t.id} />`],["Queue",e`<a href=${l("/jobs",{state:"all",queue:t.queue})}>${t.queue}</a>`],["Attempt",t.max_attempts?C(t):e`${C(t)} <span class="faint">(as many as the job's own policy allows)</span>`],["Schedule",t.schedule&&e`<a href=${l("/schedules")}>${t.schedule}</a>`],["Trace",t.trace_id&&e`<span class="mono">${t.trace_id}</span> <${p} text=${t.trace_id} />`],["Unique key",t.unique_key&&e`<code>${t.unique_key}</code>`],["Enqueued",e`<${c} at=${t.enqueued_at} none="unknown" />`],["Due",t.run_at&&e`<${c} at=${t.run_at} />`],["Begun",t.started_at&&e`<${c} at=${t.started_at} />`],["Ended",t.finished_at&&e`<${c} at=${t.finished_at} />`],["Took",t.started_at&&e`<${P} job=${t} />`],["Worker",t.worker&&e`<a class="mono" href=${l("/workers")}>${t.worker}</a>`]]} />
    </${n}>`}function U({job:t}){if(t.errors.length===0)return null;let s=[{name:"attempt",label:"Attempt",numeric:!0,value:a=>a.attempt},{name:"at",label:"When",value:a=>a.at,cell:a=>e`<${c} at=${a.at} />`},{name:"error",label:"Error",lead:!0,cell:a=>e`<span class="job-error">${a.error}</span>`}];return e`
    <${n} title="Failed attempts" flush=${!0} note=${t.errors.length>=10?"The last ten":J(t.errors.length,"attempt")}>
      <${A} caption="Failed attempts" columns=${s} rows=${t.errors} rowKey=${a=>`${a.attempt} ${a.at}`} sort="-at" param="failures" />
    </${n}>`}function b({job:t,refresh:s}){let a=D(),r=h(t);async function f(){await _(t),d("It waits for a worker."),s()}async function g(){await E(t),d(t.state==="running"?"Its worker was told to stop it.":"Cancelled."),s()}async function u(){await F(t),d("Discarded."),q(l("/jobs",{state:"dead"}))}return e`
    ${t.state==="dead"&&e`
      <${$} why=${a} dialog=${o=>e`
        <${i} title="Discard this job?" submit="Discard the job" kind="danger" onSubmit=${u} onClose=${o}>
          <p>Dogwatch forgets it, its arguments and its errors. It cannot be replayed then.</p>
        </${i}>`}>Discard</${$}>`}
    ${O(t)&&e`
      <${$} why=${a} dialog=${o=>e`
        <${i} title="Cancel this job?" submit="Cancel the job" kind="danger" onSubmit=${g} onClose=${o}>
          <p>${t.state==="running"?"Its worker is told to stop it; what it has done so far stays done.":"It will not run, unless somebody runs it again."}</p>
        </${i}>`}>Cancel</${$}>`}
    ${r&&e`
      <${$} why=${a} dialog=${o=>e`<${K} job=${t} refresh=${s} onClose=${o} />`}>${r} with other arguments</${$}>
      <${k} kind="primary" why=${a} onClick=${f}>${r}</${k}>`}`}function K({job:t,refresh:s,onClose:a}){let[r,f]=S(()=>JSON.stringify(t.args,null,2));async function g(){let u;try{u=JSON.parse(r)}catch(o){throw{title:"This is not JSON",detail:o.message}}await _(t,u),d("It waits for a worker, with these arguments."),s()}return e`
    <${i} title="${h(t)} with other arguments" submit=${h(t)} onSubmit=${g} onClose=${a}>
      <label>Arguments (a JSON object)<textarea class="mono" rows="10" spellcheck=${!1} value=${r} onInput=${u=>f(u.target.value)}></textarea></label>
    </${i}>`}export{B as default};
