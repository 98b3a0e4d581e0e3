import{a as C,b as E,c as q,e as B}from"./chunk-KJ3NEXTQ.js";import{a as N,b as P,c as W}from"./chunk-E6W3EOXE.js";import"./chunk-BAFQAQVL.js";import{a as x,b as F,e as c,f as D}from"./chunk-6Q2OUO46.js";import{a as y,b as w,c as O,e as R}from"./chunk-7NRPVOUC.js";import{b as g}from"./chunk-FPQXMIIK.js";import{I as T,M as h,N as $,O as _,R as p,_ as k,aa as S,ba as v,ea as b,ga as A,k as t,t as d,w as m,x as i,y as f}from"./chunk-M7XSJUA7.js";var L={busiest:"count",slowest:"p95_ms",failing:"error_rate"},M=8,j=()=>({requests:v("/performance/dashboard"),endpoints:v("/performance/metrics/endpoints",{limit:M,sort:L[k().get("by")]}),alerts:v("/performance/alerts",{hours:null,since:null,until:null,status:"open",limit:10})}),Q=e=>`curl -fsS ${location.origin}/api/v1/performance/metrics -H 'content-type: application/json' \\${e?`
  -H "Authorization: Bearer $DOGWATCH_KEY" \\`:""}
  -d '{"service":"shop","endpoint":"/pay","method":"POST","status_code":200,"response_time_ms":12.5}'`;function z(){let e=g(),{requests:n,alerts:r}=j(),s=d(n,{every:O()}),a=d(r),o=d(e.isTenant?null:"/performance/services/health",{every:15e3});return t`
    <${y} title="Overview" filters=${["service","tenant","time"]}>
      <${p} poll=${s} lines=${12}>
        ${l=>t`
          <div class="stack">
            ${l.summary.count===0?t`<${Y} />`:t`<${G} data=${l} />`}
            <div class=${e.isTenant?"stack":"columns-2"}>
              <${U} poll=${a} counts=${l.open_alerts} />
              ${e.isTenant?null:t`<${X} poll=${o} queues=${l.queues} />`}
            </div>
          </div>`}
      </${p}>
      ${e.isTenant?null:t`<${ee} />`}
      ${s.data?.summary.count!==0&&t`<${se} />`}
    </${y}>`}function G({data:e}){return t`
    <div class="stack">
      <${J} summary=${e.summary} history=${e.history} before=${e.before} />
      <div class="columns-2">
        <${P} history=${e.history} />
        <${W} history=${e.history} />
      </div>
    </div>`}function Y(){return t`
    <${$}>
      <${_} title="No requests ${w()}" example=${Q(g().has_key)}>
        A service with OpenTelemetry sends them by itself; one request by hand shows whether they arrive. Or choose a longer time range or fewer filters above.
      </${_}>
    </${$}>`}function J({summary:e,history:n,before:r}){let s=N(n),a=(Date.parse(e.until)-Date.parse(e.since))/6e4,o=(u,I,K=!0)=>r&&t`<${x} after=${e[u]} before=${r[u]} format=${I} moreIsWorse=${K} />`,l=[{label:"Requests",value:m(e.count),change:o("count",m,!1),note:`${(e.count/a).toFixed(1)} / min`,values:s.count},{label:"Errors",value:f(e.error_rate),change:o("error_rate",f),note:T(e.errors,"request"),values:s.errorRate,tone:e.error_rate>=.05?"tone-bad":""},{label:"p50",value:i(e.p50_ms),change:o("p50_ms",i),values:s.p50},{label:"p95",value:i(e.p95_ms),change:o("p95_ms",i),values:s.p95},{label:"p99",value:i(e.p99_ms),change:o("p99_ms",i),values:s.p99},{label:"Time in queries",value:f(e.database_share),change:o("database_share",f,!1),note:"of response time"}];return t`<${F} items=${l} />`}function U({poll:e,counts:n}){let r=t`
    <span class="badges">${["critical","high","medium","low"].filter(s=>n?.[s]>0).map(s=>t`<${h} state=${s} label="${n[s]} ${s}" />`)}</span>`;return t`
    <${$} title="Open alerts" aside=${r}>
      <${p} poll=${e} lines=${4}>
        ${({items:s})=>s.length===0?t`<p class="calm"><${h} state="resolved" label="Nothing is wrong" /></p>`:t`
            <${E} alerts=${C(s).slice(0,6)} />
            ${s.length>6&&t`<p class="more"><a href=${b("/alerts")}>All open alerts</a></p>`}`}
      </${p}>
    </${$}>`}var H=["unhealthy","degraded","unknown","healthy"],V=e=>[...e].sort((n,r)=>H.indexOf(n.state)-H.indexOf(r.state));function X({poll:e,queues:n}){return t`
    <${$} title="Services" aside=${t`<a href=${b("/services")}>All services</a>`}>
      <${p} poll=${e} lines=${3}>
        ${({items:r})=>t`
          <ul class="lines">
            ${V(r).slice(0,5).map(s=>t`
              <li key=${s.service}>
                <${h} state=${s.state} />
                <span class="lines-main">${s.service}${s.error&&s.state!=="healthy"&&t` <span class="note">${s.error}</span>`}</span>
                <span class="note nowrap">${i(s.response_time_ms)}</span>
              </li>`)}
          </ul>`}
      </${p}>
      ${n&&t`<h3 class="sub-head">Queues</h3><ul class="lines">${n.map(r=>t`<${Z} queue=${r} />`)}</ul>`}
    </${$}>`}function Z({queue:e}){let n=e.paused?"paused":e.dead>0?"dead":"running",r=["ready","running","scheduled","retrying"].filter(a=>e[a]>0).map(a=>`${m(e[a])} ${a}`),s=n==="dead"?`${m(e.dead)} dead`:n==="paused"?"Paused":"Working";return t`
    <li>
      <${h} state=${n} label=${s} />
      <a class="lines-main" href=${b("/jobs",{queue:e.name,state:n==="dead"?"dead":null})}>${e.name}</a>
      <span class="note nowrap">${r.join(", ")||"nothing waits"}${e.oldest_ready_ms>5e3?`, oldest for ${i(e.oldest_ready_ms)}`:""}</span>
    </li>`}function ee(){let e=d(v("/performance/trends",{hours:Math.max(S(),24),since:null,until:null},["service"]),{every:6e4});return t`<${B} findings=${(e.data?.items??[]).filter(q).slice(0,6)} />`}function se(){let[e,n]=A("by","busiest"),r=d(j().endpoints,{every:Math.max(O(),15e3)}),s=(o,l)=>t`<button type="button" aria-pressed=${e===o} onClick=${()=>n(o)}>${l}</button>`,a=t`<div class="tabs" role="group" aria-label="Endpoints by">${s("busiest","Busiest")}${s("slowest","Slowest")}${s("failing","Failing")}</div>`;return t`
    <${$} title="Endpoints" aside=${a} flush>
      <${p} poll=${r} lines=${6}>
        ${({items:o})=>{if(o.length===0)return t`<p class="more faint">No requests ${w()}.</p>`;let l=[c.endpoint,c.count,c.errors,c.p50,c.p95,c.p99,c.change].map(u=>({...u,value:u.cell?void 0:u.value}));return t`
            <${R} caption="Endpoints, ${e} first" columns=${l} rows=${o} rowKey=${D} />
            <p class="more"><a href=${b("/endpoints")}>All endpoints</a></p>`}}
      </${p}>
    </${$}>`}export{z as default};
