import{c as $,d as I}from"./chunk-D5O7MHXE.js";import{a as K}from"./chunk-XB4NO67G.js";import{a as E,b as N,d as S,e as A}from"./chunk-KJ3NEXTQ.js";import{a as P,b as F,c as Q}from"./chunk-E6W3EOXE.js";import"./chunk-BAFQAQVL.js";import{a as O,b as R}from"./chunk-6Q2OUO46.js";import{a as u,b as M,c as h,d as f,e as T}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as w,N as a,O as l,R as m,_ as q,aa as k,ca as C,ea as g,fa as L,k as s,t as p,w as b,x as i,y as _}from"./chunk-M7XSJUA7.js";function U(){let{params:e}=C(),t={service:e.get("service"),method:e.get("method"),endpoint:e.get("endpoint")},n=s`<a href=${g("/endpoints")}>Endpoints</a> / <a href=${g("/endpoints",{service:t.service})}>${t.service}</a>`;return!t.service||!t.method||!t.endpoint?s`<${u} title="Endpoint"><${l} title="No endpoint is named in this address">Choose one <a href=${g("/endpoints")}>in the list</a>.</${l}></${u}>`:s`
    <${u} title="${t.method} ${t.endpoint}" trail=${n} filters=${["tenant","time"]}>
      <${W} of=${t} />
      <${j} of=${t} />
      <${D} of=${t} />
      <${G} of=${t} />
    </${u}>`}function W({of:e}){let t={method:e.method,endpoint:e.endpoint},n=p(f("endpoints",{...t,limit:50}),{every:h()}),o=p(f("history",t),{every:h()}),d=p(`/performance/trends?${new URLSearchParams({hours:k(),service:e.service,endpoint:`${e.method} ${e.endpoint}`})}`,{every:6e4}).data?.items??[],r=c=>d.filter(x=>x.metric===c&&x.since>=o.data.since).map(S),y=n.data?.items.find(c=>c.method===e.method&&c.endpoint===e.endpoint);return s`
    <div class="stack">
      <${m} poll=${n} lines=${3}>
        ${()=>y?s`<${H} row=${y} history=${o.data} />`:s`<${B} />`}
      </${m}>
      <${m} poll=${o} lines=${8}>
        ${c=>s`
          <div class="columns-2">
            <${F} history=${c} markers=${r("response_time_ms")} />
            <${Q} history=${c} markers=${r("error_rate")} />
          </div>`}
      </${m}>
      <${A} findings=${d} />
    </div>`}function B(){return s`
    <${a}>
      <${l} title="No requests ${M()}">
        <a href=${L({hours:168,since:null,until:null,tenant:null})}>Look at the last 7 days</a>
      </${l}>
    </${a}>`}function H({row:e,history:t}){let n=P(t),o=(d,r,y=!0)=>e.before&&s`<${O} after=${e[d]} before=${e.before[d]} format=${r} moreIsWorse=${y} />`,v=[{label:"Requests",value:b(e.count),change:o("count",b,!1),values:n.count},{label:"Errors",value:_(e.error_rate),change:o("error_rate",_),note:w(e.errors,"request"),values:n.errorRate,tone:e.error_rate>=.05?"tone-bad":""},{label:"Mean",value:i(e.mean_ms),change:o("mean_ms",i),note:`± ${i(e.stddev_ms)}`},{label:"p50",value:i(e.p50_ms),values:n.p50},{label:"p95",value:i(e.p95_ms),change:o("p95_ms",i),values:n.p95},{label:"p99",value:i(e.p99_ms),note:`max ${i(e.max_ms)}`,values:n.p99},{label:"Time in queries",value:_(e.database_share),note:"of response time"}];return s`<${R} items=${v} />`}function j({of:e}){let t=new URLSearchParams({service:e.service,hours:Math.max(k(),24),limit:200});q().get("tenant")&&t.set("tenant",q().get("tenant"));let o=(p(`/performance/alerts?${t}`,{every:15e3}).data?.items??[]).filter(r=>[e.endpoint,`${e.method} ${e.endpoint}`].includes(r.endpoint)),v=E(o.filter(r=>r.status!=="resolved")),d=o.filter(r=>r.status==="resolved").slice(0,5);return o.length===0?null:s`<${a} title="Alerts" note="Open, and resolved in this time"><${N} alerts=${[...v,...d]} /></${a}>`}var z=[$.text,$.calls,$.total,$.mean,$.p95,$.max,$.errors];function D({of:e}){let t=p(f("slow-queries",{method:e.method,endpoint:e.endpoint,threshold_ms:0,limit:50}),{every:Math.max(h(),1e4)});return s`
    <${a} flush title="Its queries" note="Those that cost most first, with what they cost here and elsewhere">
      <${m} poll=${t} lines=${4}>
        ${({items:n})=>n.length>0?s`<${T} caption="Queries of this endpoint" columns=${z} rows=${n} rowKey=${I} sort="-total_ms" param="queries" />`:s`<${l} title="No queries known">They come with OpenTelemetry: database spans of the same trace as the request.</${l}>`}
      </${m}>
    </${a}>`}function G({of:e}){let t=p(f("slow-requests",{method:e.method,endpoint:e.endpoint,threshold_ms:50,limit:20}),{every:Math.max(h(),1e4)});return s`
    <${a} flush title="Slowest requests" note="At most 20, of 50 ms and more">
      <${m} poll=${t} lines=${4}>
        ${({items:n})=>n.length>0?s`<${K} items=${n} isOfOne />`:s`<${l} title="No request took 50 ms or more">Quicker ones are counted, and not kept one by one.</${l}>`}
      </${m}>
    </${a}>`}export{U as default};
