import{a as M,b as N}from"./chunk-D5O7MHXE.js";import{b as E,c as L}from"./chunk-E6W3EOXE.js";import"./chunk-BAFQAQVL.js";import{b as x,c as h}from"./chunk-6Q2OUO46.js";import{a as f,b as T,c as p,d as _,e as C}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as v,N as s,O as i,R as n,T as u,V as c,X as b,ca as k,ea as g,fa as y,k as l,t as m,w as d,x as a,y as $}from"./chunk-M7XSJUA7.js";function B(){let t=k().params.get("fingerprint")??"",o=m(_("slow-queries",{threshold_ms:0,fingerprint:t}),{every:p()}),r=o.data?.items[0],e=l`<a href=${g("/queries")}>Queries</a>`;return l`
    <${f} title=${r?.summary??"Query"} trail=${e} filters=${["service","tenant","time"]}>
      <${n} poll=${o} lines=${12}>${()=>r?l`<${R} query=${r} />`:l`<${Q} />`}</${n}>
    </${f}>`}function Q(){return l`
    <${s}>
      <${i} title="This query was not asked ${T()}">
        <a href=${y({hours:168,since:null,until:null,service:null,tenant:null})}>Look at the last 7 days, all services</a>
      </${i}>
    </${s}>`}function R({query:t}){let o=m(_("history",{fingerprint:t.fingerprint}),{every:p()}),r=[{label:"Calls",value:d(t.calls),note:t.errors>0?`${v(t.errors,"error")}`:"no errors"},{label:"Time in all",value:a(t.total_ms),note:`${$(t.share)} of all queries`},{label:"Mean",value:a(t.mean_ms)},{label:"p95",value:a(t.p95_ms)},{label:"Max",value:a(t.max_ms)}];return l`
    <div class="stack">
      <${s} title=${t.system} note=${l`Seen last <${c} at=${t.last_seen_at} />${t.first_seen_at&&l`, first <${c} at=${t.first_seen_at} />`} `} aside=${l`<${u} text=${t.text} label="Copy query" />`}>
        <pre class="code" tabindex="0" role="region" aria-label="Text of the query">${M(t.text)}</pre>
        ${t.repeated_in_requests>0&&l`<p class="advice"><${N} query=${t} /> They asked it five times or more each, with other values: one query with <code>IN</code> or a join could ask for all at once.</p>`}
      </${s}>
      <${x} items=${r} />
      <${n} poll=${o} lines=${6}>
        ${e=>l`
          <div class="columns-2">
            <${E} history=${e} title="Time of a call" />
            <${L} history=${e} title="Calls and errors" unit="call" />
          </div>`}
      </${n}>
      <div class="columns-2">
        <${S} query=${t} />
        <div class="stack">
          <${j} example=${t.example} />
          ${t.server&&l`<${A} server=${t.server} />`}
        </div>
      </div>
    </div>`}function S({query:t}){let o=t.used_by.reduce((e,w)=>e+w.total_ms,0)||1,r=[{name:"endpoint",label:"Endpoint",lead:!0,value:e=>e.endpoint??e.service,cell:e=>l`<${h} of=${e} />`},{name:"calls",label:"Calls",numeric:!0,value:e=>e.calls,cell:e=>d(e.calls)},{name:"mean",label:"Mean",numeric:!0,value:e=>e.total_ms/e.calls,cell:e=>a(e.total_ms/e.calls)},{name:"total_ms",label:"Total",numeric:!0,value:e=>e.total_ms,cell:e=>l`<div class="share">${a(e.total_ms)} <span class="faint">${$(e.total_ms/o)}</span><${b} part=${e.total_ms/o} /></div>`}];return l`
    <${s} flush title="Used by">
      ${t.used_by.length>0?l`<${C} caption="Who asks this query" columns=${r} rows=${t.used_by} rowKey=${e=>`${e.service} ${e.method} ${e.endpoint}`} sort="-total_ms" />`:l`<${i} title="Nobody known">No request of its trace has come.</${i}>`}
    </${s}>`}function j({example:t}){return t?l`
    <${s} title="Slowest call">
      <dl class="facts">
        <dt>Took</dt><dd><strong>${a(t.execution_time_ms)}</strong>, <${c} at=${t.occurred_at} /></dd>
        <dt>Rows</dt><dd>${d(t.rows_returned)}</dd>
        <dt>Asked by</dt><dd><${h} of=${t} /></dd>
        ${t.error&&l`<dt>Error</dt><dd class="tone-bad">${t.error}</dd>`}
        <dt>Trace</dt><dd>${t.trace_id?l`<code>${t.trace_id}</code> <${u} text=${t.trace_id} />`:"–"}</dd>
      </dl>
    </${s}>`:null}function A({server:t}){return l`
    <${s} title="As the database counts" note=${t.databases.join(", ")}>
      <dl class="facts">
        <dt>Calls</dt><dd>${d(t.calls)}</dd>
        <dt>Mean</dt><dd>${a(t.mean_ms)}</dd>
        <dt>Rows a call</dt><dd>${t.rows_per_call.toFixed(1)}</dd>
        <dt>Blocks a call</dt><dd>${t.blocks_per_call.toFixed(1)}</dd>
        <dt>From memory</dt><dd>${$(t.hit_rate)}</dd>
      </dl>
    </${s}>`}export{B as default};
