import{a as N,c as O,e as f,f as E,g as v,h as P,i as F,j as C,k as R,l as W}from"./chunk-F4HTYYJN.js";import{a as A,b as $,c as u}from"./chunk-FRM2DHQ7.js";import{c as _,d as D}from"./chunk-6QIGAD6N.js";import{a as p,e as T}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as J,N as l,O as w,R as y,S as k,T as h,V as d,Y as m,ca as q,d as S,da as I,ea as o,k as e,t as x}from"./chunk-M7XSJUA7.js";var B=()=>e`<a href=${o("/jobs",{state:"all"})}>Jobs</a>`;function L(){let{params:t}=q(),s=t.get("id"),a=x(s&&O({id:s,queue:t.get("queue")}),{every:2e3}),n=a.data;return s?e`
    <${p} title=${n?n.job||"Unreadable job":"Job"} trail=${B()} actions=${n&&e`<${K} job=${n} refresh=${a.refresh} />`}>
      <${y} poll=${a} lines=${10}>
        ${r=>e`
          <div class="columns-2">
            <div class="stack">
              <${U} job=${r} />
              <${b} job=${r} />
            </div>
            <div class="stack">
              <${l} title="Arguments" aside=${e`<${h} text=${JSON.stringify(r.args)} />`}><${_} value=${r.args} label="Arguments" /></${l}>
              ${r.result_error&&e`<${l} title="Result"><p>The job has succeeded. Its result has ${r.result_error.bytes} bytes; at most ${r.result_error.limit} are kept.</p></${l}>`}
              ${r.result!==null&&e`<${l} title="Result"><${_} value=${r.result} label="Result" /></${l}>`}
            </div>
          </div>`}
      </${y}>
    </${p}>`:e`<${p} title="Job" trail=${B()}><${w} title="Which job?">Choose one in the <a href=${o("/jobs",{state:"all"})}>list of jobs</a>.</${w}></${p}>`}function U({job:t}){return e`
    <${l}>
      <div class="state-line"><${N} state=${t.state} /><${W} value=${t.progress} /></div>
      ${t.error&&e`<pre class="code error-text" tabindex="0" role="region" aria-label="Error">${t.error}</pre>`}
      <${D} items=${[["Id",e`<span class="mono">${t.id}</span> <${h} text=${t.id} />`],["Queue",e`<a href=${o("/jobs",{state:"all",queue:t.queue})}>${t.queue}</a>`],["Attempt",t.max_attempts?C(t):e`${C(t)} <span class="faint">(as many as the job's own policy allows)</span>`],["Schedule",t.schedule&&e`<a href=${o("/schedules")}>${t.schedule}</a>`],["Trace",t.trace_id&&e`<span class="mono">${t.trace_id}</span> <${h} text=${t.trace_id} />`],["Unique key",t.unique_key&&e`<code>${t.unique_key}</code>`],["Enqueued",e`<${d} at=${t.enqueued_at} none="unknown" />`],["Due",t.run_at&&e`<${d} at=${t.run_at} />`],["Begun",t.started_at&&e`<${d} at=${t.started_at} />`],["Ended",t.finished_at&&e`<${d} at=${t.finished_at} />`],["Took",t.started_at&&e`<${R} job=${t} />`],["Worker",t.worker&&e`<a class="mono" href=${o("/workers")}>${t.worker}</a>`]]} />
    </${l}>`}function b({job:t}){if(t.errors.length===0)return null;let s=[{name:"attempt",label:"Attempt",numeric:!0,value:a=>a.attempt},{name:"at",label:"When",value:a=>a.at,cell:a=>e`<${d} at=${a.at} />`},{name:"error",label:"Error",lead:!0,cell:a=>e`<span class="job-error">${a.error}</span>`}];return e`
    <${l} title="Failed attempts" flush=${!0} note=${t.errors.length>=10?"The last ten":J(t.errors.length,"attempt")}>
      <${T} caption="Failed attempts" columns=${s} rows=${t.errors} rowKey=${a=>`${a.attempt} ${a.at}`} sort="-at" param="failures" />
    </${l}>`}function K({job:t,refresh:s}){let a=A(),n=f(t);async function r(){await v(t),m("It waits for a worker."),s()}async function g(){await P(t),m(t.state==="running"?"Its worker was told to stop it.":"Cancelled."),s()}async function c(){await F(t),m("Discarded."),I(o("/jobs",{state:"dead"}))}return e`
    ${t.state==="dead"&&e`
      <${u} why=${a} dialog=${i=>e`
        <${$} title="Discard this job?" submit="Discard the job" kind="danger" onSubmit=${c} onClose=${i}>
          <p>Dogwatch forgets it, its arguments and its errors. It cannot be replayed then.</p>
        </${$}>`}>Discard</${u}>`}
    ${E(t)&&e`
      <${u} why=${a} dialog=${i=>e`
        <${$} title="Cancel this job?" submit="Cancel the job" kind="danger" onSubmit=${g} onClose=${i}>
          <p>${t.state==="running"?"Its worker is told to stop it; what it has done so far stays done.":"It will not run, unless somebody runs it again."}</p>
        </${$}>`}>Cancel</${u}>`}
    ${n&&e`
      <${u} why=${a} dialog=${i=>e`<${Q} job=${t} refresh=${s} onClose=${i} />`}>${n} with other arguments</${u}>
      <${k} kind="primary" why=${a} onClick=${r}>${n}</${k}>`}`}function Q({job:t,refresh:s,onClose:a}){let[n,r]=S(()=>JSON.stringify(t.args,null,2));async function g(){let c;try{c=JSON.parse(n)}catch(i){throw{title:"This is not JSON",detail:i.message}}await v(t,c),m("It waits for a worker, with these arguments."),s()}return e`
    <${$} title="${f(t)} with other arguments" submit=${f(t)} onSubmit=${g} onClose=${a}>
      <label>Arguments (a JSON object)<textarea class="mono" rows="10" spellcheck=${!1} value=${n} onInput=${c=>r(c.target.value)}></textarea></label>
    </${$}>`}export{L as default};
