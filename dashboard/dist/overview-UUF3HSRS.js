import{a as E,b as F,c as P,e as W}from"./chunk-KJ3NEXTQ.js";import{a as q,b as D,c as H}from"./chunk-E6W3EOXE.js";import"./chunk-BAFQAQVL.js";import{a as x,b as B,e as p,f as N}from"./chunk-6Q2OUO46.js";import{a as w,b as A,c as R,e as C}from"./chunk-7NRPVOUC.js";import{b as _}from"./chunk-FPQXMIIK.js";import{I as O,M as h,N as $,O as y,R as u,_ as T,aa as k,ba as b,ea as v,ga as S,k as t,t as d,w as m,x as i,y as f}from"./chunk-M7XSJUA7.js";var K={busiest:"count",slowest:"p95_ms",failing:"error_rate"},L=8,Q=()=>({requests:b("/performance/dashboard",{limit:L,sort:K[T().get("by")]}),alerts:b("/performance/alerts",{hours:null,since:null,until:null,status:"open",limit:10})}),z=e=>`curl -fsS ${location.origin}/api/v1/performance/metrics -H 'content-type: application/json' \\${e?`
  -H "Authorization: Bearer $DOGWATCH_KEY" \\`:""}
  -d '{"service":"shop","endpoint":"/pay","method":"POST","status_code":200,"response_time_ms":12.5}'`;function G(){let e=_(),{requests:n,alerts:r}=Q(),s=d(n,{every:R()}),a=d(r),o=d(e.isTenant?null:"/performance/services/health",{every:15e3});return t`
    <${w} title="Overview" filters=${["service","tenant","time"]}>
      <${u} poll=${s} lines=${12}>
        ${c=>t`
          <div class="stack">
            ${c.summary.count===0?t`<${Y} />`:t`<${M} data=${c} />`}
            <div class=${e.isTenant?"stack":"columns-2"}>
              <${U} poll=${a} counts=${c.open_alerts} />
              ${e.isTenant?null:t`<${X} poll=${o} queues=${c.queues} />`}
            </div>
          </div>`}
      </${u}>
      ${e.isTenant?null:t`<${ee} />`}
      ${s.data&&s.data.summary.count!==0&&t`<${se} items=${s.data.endpoints.items} isOld=${s.isOld} />`}
    </${w}>`}function M({data:e}){return t`
    <div class="stack">
      <${J} summary=${e.summary} history=${e.history} before=${e.before} />
      <div class="columns-2">
        <${D} history=${e.history} />
        <${H} history=${e.history} />
      </div>
    </div>`}function Y(){return t`
    <${$}>
      <${y} title="No requests ${A()}" example=${z(_().has_key)}>
        A service with OpenTelemetry sends them by itself; one request by hand shows whether they arrive. Or choose a longer time range or fewer filters above.
      </${y}>
    </${$}>`}function J({summary:e,history:n,before:r}){let s=q(n),a=(Date.parse(e.until)-Date.parse(e.since))/6e4,o=(l,g,I=!0)=>r&&t`<${x} after=${e[l]} before=${r[l]} format=${g} moreIsWorse=${I} />`,c=[{label:"Requests",value:m(e.count),change:o("count",m,!1),note:`${(e.count/a).toFixed(1)} / min`,values:s.count},{label:"Errors",value:f(e.error_rate),change:o("error_rate",f),note:O(e.errors,"request"),values:s.errorRate,tone:e.error_rate>=.05?"tone-bad":""},{label:"p50",value:i(e.p50_ms),change:o("p50_ms",i),values:s.p50},{label:"p95",value:i(e.p95_ms),change:o("p95_ms",i),values:s.p95},{label:"p99",value:i(e.p99_ms),change:o("p99_ms",i),values:s.p99},{label:"Time in queries",value:f(e.database_share),change:o("database_share",f,!1),note:"of response time"}];return t`<${B} items=${c} />`}function U({poll:e,counts:n}){let r=t`
    <span class="badges">${["critical","high","medium","low"].filter(s=>n?.[s]>0).map(s=>t`<${h} state=${s} label="${n[s]} ${s}" />`)}</span>`;return t`
    <${$} title="Open alerts" aside=${r}>
      <${u} poll=${e} lines=${4}>
        ${({items:s})=>s.length===0?t`<p class="calm"><${h} state="resolved" label="Nothing is wrong" /></p>`:t`
            <${F} alerts=${E(s).slice(0,6)} />
            ${s.length>6&&t`<p class="more"><a href=${v("/alerts")}>All open alerts</a></p>`}`}
      </${u}>
    </${$}>`}var j=["unhealthy","degraded","unknown","healthy"],V=e=>[...e].sort((n,r)=>j.indexOf(n.state)-j.indexOf(r.state));function X({poll:e,queues:n}){return t`
    <${$} title="Services" aside=${t`<a href=${v("/services")}>All services</a>`}>
      <${u} poll=${e} lines=${3}>
        ${({items:r})=>t`
          <ul class="lines">
            ${V(r).slice(0,5).map(s=>t`
              <li key=${s.service}>
                <${h} state=${s.state} />
                <span class="lines-main">${s.service}${s.error&&s.state!=="healthy"&&t` <span class="note">${s.error}</span>`}</span>
                <span class="note nowrap">${i(s.response_time_ms)}</span>
              </li>`)}
          </ul>`}
      </${u}>
      ${n&&t`<h3 class="sub-head">Queues</h3><ul class="lines">${n.map(r=>t`<${Z} queue=${r} />`)}</ul>`}
    </${$}>`}function Z({queue:e}){let n=e.paused?"paused":e.dead>0?"dead":"running",r=["ready","running","scheduled","retrying"].filter(a=>e[a]>0).map(a=>`${m(e[a])} ${a}`),s=n==="dead"?`${m(e.dead)} dead`:n==="paused"?"Paused":"Working";return t`
    <li>
      <${h} state=${n} label=${s} />
      <a class="lines-main" href=${v("/jobs",{queue:e.name,state:n==="dead"?"dead":null})}>${e.name}</a>
      <span class="note nowrap">${r.join(", ")||"nothing waits"}${e.oldest_ready_ms>5e3?`, oldest for ${i(e.oldest_ready_ms)}`:""}</span>
    </li>`}function ee(){let e=d(b("/performance/trends",{hours:Math.max(k(),24),since:null,until:null},["service"]),{every:6e4});return t`<${W} findings=${(e.data?.items??[]).filter(P).slice(0,6)} />`}function se({items:e,isOld:n}){let[r,s]=S("by","busiest"),a=(l,g)=>t`<button type="button" aria-pressed=${r===l} onClick=${()=>s(l)}>${g}</button>`,o=t`<div class="tabs" role="group" aria-label="Endpoints by">${a("busiest","Busiest")}${a("slowest","Slowest")}${a("failing","Failing")}</div>`,c=[p.endpoint,p.count,p.errors,p.p50,p.p95,p.p99,p.change].map(l=>({...l,value:l.cell?void 0:l.value}));return t`
    <${$} title="Endpoints" aside=${o} flush>
      <div class=${n?"is-old":""}>
        <${C} caption="Endpoints, ${r} first" columns=${c} rows=${e} rowKey=${N} />
        <p class="more"><a href=${v("/endpoints")}>All endpoints</a></p>
      </div>
    </${$}>`}export{G as default};
