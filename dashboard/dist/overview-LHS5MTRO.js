import{a as E,b as F,c as W,e as q}from"./chunk-KJ3NEXTQ.js";import{a as D,b as H,c as I}from"./chunk-E6W3EOXE.js";import"./chunk-BAFQAQVL.js";import{a as B,b as P,e as p,f as N}from"./chunk-6Q2OUO46.js";import{a as O,b as x,c as A,e as C}from"./chunk-7NRPVOUC.js";import{b as _}from"./chunk-FPQXMIIK.js";import{I as y,M as h,N as o,O as w,R as u,V as T,_ as k,aa as R,ba as g,ea as v,ga as S,k as s,t as d,w as m,x as $,y as f}from"./chunk-M7XSJUA7.js";var L={busiest:"count",slowest:"p95_ms",failing:"error_rate"},Q=8,z=()=>({requests:g("/performance/dashboard",{limit:Q,sort:L[k().get("by")]}),alerts:g("/performance/alerts",{hours:null,since:null,until:null,status:"open",limit:10})}),G=e=>`curl -fsS ${location.origin}/api/v1/performance/metrics -H 'content-type: application/json' \\${e?`
  -H "Authorization: Bearer $DOGWATCH_KEY" \\`:""}
  -d '{"service":"shop","endpoint":"/pay","method":"POST","status_code":200,"response_time_ms":12.5}'`;function M(){let e=_(),{requests:a,alerts:n}=z(),t=d(a,{every:A()}),r=d(n),l=d(e.isTenant?null:"/performance/services/health",{every:15e3});return s`
    <${O} title="Overview" filters=${["service","tenant","time"]}>
      <${u} poll=${t} lines=${12}>
        ${c=>s`
          <div class="stack">
            ${c.summary.count===0?s`<${U} />`:s`<${J} data=${c} />`}
            <div class=${e.isTenant?"stack":"columns-2"}>
              <${X} poll=${r} counts=${c.open_alerts} />
              ${e.isTenant?null:s`<${ee} poll=${l} queues=${c.queues} />`}
            </div>
          </div>`}
      </${u}>
      ${e.isTenant?null:s`<${Y} /><${te} />`}
      ${t.data&&t.data.summary.count!==0&&s`<${ne} items=${t.data.endpoints.items} isOld=${t.isOld} />`}
    </${O}>`}function Y(){let a=d("/performance/services/refusals",{every:3e4}).data?.items??[];return a.length===0?null:s`
    <${o} title="Refused exports" note="In the last ten minutes">
      <ul class="lines">${a.slice(0,5).map(n=>s`
        <li class="tone-warn" key=${`${n.reason} ${n.service}`}>${n.service?s`<strong>${n.service}</strong>: `:""}${y(n.exports,"export")} refused: ${n.message} <span class="faint"><${T} at=${n.last_at} /></span></li>`)}</ul>
      ${a.length>5&&s`<p class="note">… and ${a.length-5} more; all of them: <code>dogwatch doctor</code></p>`}
    </${o}>`}function J({data:e}){return s`
    <div class="stack">
      <${V} summary=${e.summary} history=${e.history} before=${e.before} />
      <div class="columns-2">
        <${H} history=${e.history} />
        <${I} history=${e.history} />
      </div>
    </div>`}function U(){return s`
    <${o}>
      <${w} title="No requests ${x()}" example=${G(_().has_key)}>
        A service with OpenTelemetry sends them by itself; one request by hand shows whether they arrive. Or choose a longer time range or fewer filters above.
      </${w}>
    </${o}>`}function V({summary:e,history:a,before:n}){let t=D(a),r=(Date.parse(e.until)-Date.parse(e.since))/6e4,l=(i,b,K=!0)=>n&&s`<${B} after=${e[i]} before=${n[i]} format=${b} moreIsWorse=${K} />`,c=[{label:"Requests",value:m(e.count),change:l("count",m,!1),note:`${(e.count/r).toFixed(1)} / min`,values:t.count},{label:"Errors",value:f(e.error_rate),change:l("error_rate",f),note:y(e.errors,"request"),values:t.errorRate,tone:e.error_rate>=.05?"tone-bad":""},{label:"p50",value:$(e.p50_ms),change:l("p50_ms",$),values:t.p50},{label:"p95",value:$(e.p95_ms),change:l("p95_ms",$),values:t.p95},{label:"p99",value:$(e.p99_ms),change:l("p99_ms",$),values:t.p99},{label:"Time in queries",value:f(e.database_share),change:l("database_share",f,!1),note:"of response time"}];return s`<${P} items=${c} />`}function X({poll:e,counts:a}){let n=s`
    <span class="badges">${["critical","high","medium","low"].filter(t=>a?.[t]>0).map(t=>s`<${h} state=${t} label="${a[t]} ${t}" />`)}</span>`;return s`
    <${o} title="Open alerts" aside=${n}>
      <${u} poll=${e} lines=${4}>
        ${({items:t})=>t.length===0?s`<p class="calm"><${h} state="resolved" label="Nothing is wrong" /></p>`:s`
            <${F} alerts=${E(t).slice(0,6)} />
            ${t.length>6&&s`<p class="more"><a href=${v("/alerts")}>All open alerts</a></p>`}`}
      </${u}>
    </${o}>`}var j=["unhealthy","degraded","unknown","healthy"],Z=e=>[...e].sort((a,n)=>j.indexOf(a.state)-j.indexOf(n.state));function ee({poll:e,queues:a}){return s`
    <${o} title="Services" aside=${s`<a href=${v("/services")}>All services</a>`}>
      <${u} poll=${e} lines=${3}>
        ${({items:n})=>s`
          <ul class="lines">
            ${Z(n).slice(0,5).map(t=>s`
              <li key=${t.service}>
                <${h} state=${t.state} />
                <span class="lines-main">${t.service}${t.error&&t.state!=="healthy"&&s` <span class="note">${t.error}</span>`}</span>
                <span class="note nowrap">${$(t.response_time_ms)}</span>
              </li>`)}
          </ul>`}
      </${u}>
      ${a&&s`<h3 class="sub-head">Queues</h3><ul class="lines">${a.map(n=>s`<${se} queue=${n} />`)}</ul>`}
    </${o}>`}function se({queue:e}){let a=e.paused?"paused":e.dead>0?"dead":"running",n=["ready","running","scheduled","retrying"].filter(r=>e[r]>0).map(r=>`${m(e[r])} ${r}`),t=a==="dead"?`${m(e.dead)} dead`:a==="paused"?"Paused":"Working";return s`
    <li>
      <${h} state=${a} label=${t} />
      <a class="lines-main" href=${v("/jobs",{queue:e.name,state:a==="dead"?"dead":null})}>${e.name}</a>
      <span class="note nowrap">${n.join(", ")||"nothing waits"}${e.oldest_ready_ms>5e3?`, oldest for ${$(e.oldest_ready_ms)}`:""}</span>
    </li>`}function te(){let e=d(g("/performance/trends",{hours:Math.max(R(),24),since:null,until:null},["service"]),{every:6e4});return s`<${q} findings=${(e.data?.items??[]).filter(W).slice(0,6)} />`}function ne({items:e,isOld:a}){let[n,t]=S("by","busiest"),r=(i,b)=>s`<button type="button" aria-pressed=${n===i} onClick=${()=>t(i)}>${b}</button>`,l=s`<div class="tabs" role="group" aria-label="Endpoints by">${r("busiest","Busiest")}${r("slowest","Slowest")}${r("failing","Failing")}</div>`,c=[p.endpoint,p.count,p.errors,p.p50,p.p95,p.p99,p.change].map(i=>({...i,value:i.cell?void 0:i.value}));return s`
    <${o} title="Endpoints" aside=${l} flush>
      <div class=${a?"is-old":""}>
        <${C} caption="Endpoints, ${n} first" columns=${c} rows=${e} rowKey=${N} />
        <p class="more"><a href=${v("/endpoints")}>All endpoints</a></p>
      </div>
    </${o}>`}export{M as default};
