import{a as N,c as O,e as f,f as E,g as _,h as P,i as F,j as C,k as W,l as B}from"./chunk-F4HTYYJN.js";import{a as I,b as $,c as u}from"./chunk-FRM2DHQ7.js";import{c as v,d as T}from"./chunk-6QIGAD6N.js";import{a as p,e as D}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as J,N as l,O as w,R as y,S as k,T as h,V as d,Y as m,ca as q,d as S,da as A,ea as i,k as e,t as x}from"./chunk-M7XSJUA7.js";var L=()=>e`<a href=${i("/jobs",{state:"all"})}>Jobs</a>`;function R(){let{params:t}=q(),r=t.get("id"),a=x(r&&O({id:r,queue:t.get("queue")}),{every:2e3}),s=a.data;return r?e`
    <${p} title=${s?s.job||"Unreadable job":"Job"} trail=${L()} actions=${s&&e`<${K} job=${s} refresh=${a.refresh} />`}>
      <${y} poll=${a} lines=${10}>
        ${n=>e`
          <div class="columns-2">
            <div class="stack">
              <${U} job=${n} />
              <${b} job=${n} />
            </div>
            <div class="stack">
              <${l} title="Arguments" aside=${e`<${h} text=${JSON.stringify(n.args)} />`}><${v} value=${n.args} label="Arguments" /></${l}>
              ${n.result!==null&&e`<${l} title="Result"><${v} value=${n.result} label="Result" /></${l}>`}
            </div>
          </div>`}
      </${y}>
    </${p}>`:e`<${p} title="Job" trail=${L()}><${w} title="Which job?">Choose one in the <a href=${i("/jobs",{state:"all"})}>list of jobs</a>.</${w}></${p}>`}function U({job:t}){return e`
    <${l}>
      <div class="state-line"><${N} state=${t.state} /><${B} value=${t.progress} /></div>
      ${t.error&&e`<pre class="code error-text" tabindex="0" role="region" aria-label="Error">${t.error}</pre>`}
      <${T} items=${[["Id",e`<span class="mono">${t.id}</span> <${h} text=${t.id} />`],["Queue",e`<a href=${i("/jobs",{state:"all",queue:t.queue})}>${t.queue}</a>`],["Attempt",t.max_attempts?C(t):e`${C(t)} <span class="faint">(as many as the job's own policy allows)</span>`],["Schedule",t.schedule&&e`<a href=${i("/schedules")}>${t.schedule}</a>`],["Trace",t.trace_id&&e`<span class="mono">${t.trace_id}</span> <${h} text=${t.trace_id} />`],["Unique key",t.unique_key&&e`<code>${t.unique_key}</code>`],["Enqueued",e`<${d} at=${t.enqueued_at} none="unknown" />`],["Due",t.run_at&&e`<${d} at=${t.run_at} />`],["Begun",t.started_at&&e`<${d} at=${t.started_at} />`],["Ended",t.finished_at&&e`<${d} at=${t.finished_at} />`],["Took",t.started_at&&e`<${W} job=${t} />`],["Worker",t.worker&&e`<a class="mono" href=${i("/workers")}>${t.worker}</a>`]]} />
    </${l}>`}function b({job:t}){if(t.errors.length===0)return null;let r=[{name:"attempt",label:"Attempt",numeric:!0,value:a=>a.attempt},{name:"at",label:"When",value:a=>a.at,cell:a=>e`<${d} at=${a.at} />`},{name:"error",label:"Error",lead:!0,cell:a=>e`<span class="job-error">${a.error}</span>`}];return e`
    <${l} title="Failed attempts" flush=${!0} note=${t.errors.length>=10?"The last ten":J(t.errors.length,"attempt")}>
      <${D} caption="Failed attempts" columns=${r} rows=${t.errors} rowKey=${a=>`${a.attempt} ${a.at}`} sort="-at" param="failures" />
    </${l}>`}function K({job:t,refresh:r}){let a=I(),s=f(t);async function n(){await _(t),m("It waits for a worker."),r()}async function g(){await P(t),m(t.state==="running"?"Its worker was told to stop it.":"Cancelled."),r()}async function c(){await F(t),m("Discarded."),A(i("/jobs",{state:"dead"}))}return e`
    ${t.state==="dead"&&e`
      <${u} why=${a} dialog=${o=>e`
        <${$} title="Discard this job?" submit="Discard the job" kind="danger" onSubmit=${c} onClose=${o}>
          <p>Dogwatch forgets it, its arguments and its errors. It cannot be replayed then.</p>
        </${$}>`}>Discard</${u}>`}
    ${E(t)&&e`
      <${u} why=${a} dialog=${o=>e`
        <${$} title="Cancel this job?" submit="Cancel the job" kind="danger" onSubmit=${g} onClose=${o}>
          <p>${t.state==="running"?"Its worker is told to stop it; what it has done so far stays done.":"It will not run, unless somebody runs it again."}</p>
        </${$}>`}>Cancel</${u}>`}
    ${s&&e`
      <${u} why=${a} dialog=${o=>e`<${Q} job=${t} refresh=${r} onClose=${o} />`}>${s} with other arguments</${u}>
      <${k} kind="primary" why=${a} onClick=${n}>${s}</${k}>`}`}function Q({job:t,refresh:r,onClose:a}){let[s,n]=S(()=>JSON.stringify(t.args,null,2));async function g(){let c;try{c=JSON.parse(s)}catch(o){throw{title:"This is not JSON",detail:o.message}}await _(t,c),m("It waits for a worker, with these arguments."),r()}return e`
    <${$} title="${f(t)} with other arguments" submit=${f(t)} onSubmit=${g} onClose=${a}>
      <label>Arguments (a JSON object)<textarea class="mono" rows="10" spellcheck=${!1} value=${s} onInput=${c=>n(c.target.value)}></textarea></label>
    </${$}>`}export{R as default};
