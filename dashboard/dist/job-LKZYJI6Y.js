import{a as O,c as E,e as f,f as P,g as S,h as F,i as R,j as x,k as W,l as B}from"./chunk-F4HTYYJN.js";import{a as v,b as o,c as $}from"./chunk-FRM2DHQ7.js";import{c as C,d as N}from"./chunk-6QIGAD6N.js";import{a as p,e as A}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as D,N as n,O as y,R as k,S as _,T as h,V as c,Y as m,ca as I,d as J,da as T,ea as i,k as e,t as q}from"./chunk-M7XSJUA7.js";var L=()=>e`<a href=${i("/jobs",{state:"all"})}>Jobs</a>`;function U(){let{params:t}=I(),s=t.get("id"),a=q(s&&E({id:s,queue:t.get("queue")}),{every:2e3}),l=a.data;return s?e`
    <${p} title=${l?l.job||"Unreadable job":"Job"} trail=${L()} actions=${l&&e`<${Q} job=${l} refresh=${a.refresh} />`}>
      <${k} poll=${a} lines=${10}>
        ${r=>e`
          <div class="columns-2">
            <div class="stack">
              <${b} job=${r} />
              <${K} job=${r} />
            </div>
            <div class="stack">
              <${n} title="Arguments" aside=${e`<${h} text=${JSON.stringify(r.args)} />`}><${C} value=${r.args} label="Arguments" /></${n}>
              ${r.result_error&&e`<${n} title="Result"><p>The job has succeeded. Its result has ${r.result_error.bytes} bytes; at most ${r.result_error.limit} are kept.</p></${n}>`}
              ${r.result!==null&&e`<${n} title="Result"><${C} value=${r.result} label="Result" /></${n}>`}
            </div>
          </div>`}
      </${k}>
    </${p}>`:e`<${p} title="Job" trail=${L()}><${y} title="Which job?">Choose one in the <a href=${i("/jobs",{state:"all"})}>list of jobs</a>.</${y}></${p}>`}function b({job:t}){return e`
    <${n}>
      <div class="state-line"><${O} state=${t.state} /><${B} value=${t.progress} /></div>
      ${t.error&&e`<pre class="code error-text" tabindex="0" role="region" aria-label="Error">${t.error}</pre>`}
      <${N} items=${[["Id",e`<span class="mono">${t.id}</span> <${h} text=${t.id} />`],["Queue",e`<a href=${i("/jobs",{state:"all",queue:t.queue})}>${t.queue}</a>`],["Attempt",t.max_attempts?x(t):e`${x(t)} <span class="faint">(as many as the job's own policy allows)</span>`],["Schedule",t.schedule&&e`<a href=${i("/schedules")}>${t.schedule}</a>`],["Trace",t.trace_id&&e`<span class="mono">${t.trace_id}</span> <${h} text=${t.trace_id} />`],["Unique key",t.unique_key&&e`<code>${t.unique_key}</code>`],["Enqueued",e`<${c} at=${t.enqueued_at} none="unknown" />`],["Due",t.run_at&&e`<${c} at=${t.run_at} />`],["Begun",t.started_at&&e`<${c} at=${t.started_at} />`],["Ended",t.finished_at&&e`<${c} at=${t.finished_at} />`],["Took",t.started_at&&e`<${W} job=${t} />`],["Worker",t.worker&&e`<a class="mono" href=${i("/workers")}>${t.worker}</a>`]]} />
    </${n}>`}function K({job:t}){if(t.errors.length===0)return null;let s=[{name:"attempt",label:"Attempt",numeric:!0,value:a=>a.attempt},{name:"at",label:"When",value:a=>a.at,cell:a=>e`<${c} at=${a.at} />`},{name:"error",label:"Error",lead:!0,cell:a=>e`<span class="job-error">${a.error}</span>`}];return e`
    <${n} title="Failed attempts" flush=${!0} note=${t.errors.length>=10?"The last ten":D(t.errors.length,"attempt")}>
      <${A} caption="Failed attempts" columns=${s} rows=${t.errors} rowKey=${a=>`${a.attempt} ${a.at}`} sort="-at" param="failures" />
    </${n}>`}function Q({job:t,refresh:s}){let a=v(),l=v("admin"),r=f(t);async function g(){await S(t),m("It waits for a worker."),s()}async function u(){await F(t),m(t.state==="running"?"Its worker was told to stop it.":"Cancelled."),s()}async function w(){await R(t),m("Discarded."),T(i("/jobs",{state:"dead"}))}return e`
    ${t.state==="dead"&&e`
      <${$} why=${l} dialog=${d=>e`
        <${o} title="Discard this job?" submit="Discard the job" kind="danger" onSubmit=${w} onClose=${d}>
          <p>Dogwatch forgets it, its arguments and its errors. It cannot be replayed then.</p>
        </${o}>`}>Discard</${$}>`}
    ${P(t)&&e`
      <${$} why=${a} dialog=${d=>e`
        <${o} title="Cancel this job?" submit="Cancel the job" kind="danger" onSubmit=${u} onClose=${d}>
          <p>${t.state==="running"?"Its worker is told to stop it; what it has done so far stays done.":"It will not run, unless somebody runs it again."}</p>
        </${o}>`}>Cancel</${$}>`}
    ${r&&e`
      <${$} why=${a} dialog=${d=>e`<${z} job=${t} refresh=${s} onClose=${d} />`}>${r} with other arguments</${$}>
      <${_} kind="primary" why=${a} onClick=${g}>${r}</${_}>`}`}function z({job:t,refresh:s,onClose:a}){let[l,r]=J(()=>JSON.stringify(t.args,null,2));async function g(){let u;try{u=JSON.parse(l)}catch(w){throw{title:"This is not JSON",detail:w.message}}await S(t,u),m("It waits for a worker, with these arguments."),s()}return e`
    <${o} title="${f(t)} with other arguments" submit=${f(t)} onSubmit=${g} onClose=${a}>
      <label>Arguments (a JSON object)<textarea class="mono" rows="10" spellcheck=${!1} value=${l} onInput=${u=>r(u.target.value)}></textarea></label>
    </${o}>`}export{U as default};
