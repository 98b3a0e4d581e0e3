import{a as k}from"./chunk-6QIGAD6N.js";import{a as v,e as b}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{H as m,I as _,M as w,N as $,O as o,R as u,V as i,ca as g,ea as h,k as a,t as c,w as p,x as d}from"./chunk-M7XSJUA7.js";var x={unhealthy:3,degraded:2,unknown:1,healthy:0},T=["unhealthy","degraded","unknown","healthy"],A=`[[services]]
name = "shop"
url = "https://shop.example.com/healthz"
interval = "30s"`;function L(){let e=c("/performance/services/health"),l=c("/performance/alerts?status=open&limit=500"),r=g().params.get("state");return a`
    <${v} title="Services">
      <${u} poll=${e} lines=${8}>
        ${({items:s})=>a`
          <section class="card flush" aria-label="Services">
            <div class="toolbar">
              <${k} name="state" label="State" items=${[["","All",s.length],...T.map(n=>[n,m(n),s.filter(t=>t.state===n).length])]} />
            </div>
            <${N} items=${r?s.filter(n=>n.state===r):s} alerts=${l.data?.items??[]} isFiltered=${!!r} />
          </section>`}
      </${u}>
      <${R} items=${(e.data?.items??[]).filter(s=>s.kind==="heartbeat"&&!s.last_ok_at)} />
    </${v}>`}function N({items:e,alerts:l,isFiltered:r}){if(e.length===0)return r?a`<${o} title="No service is in this state">Choose another above.</${o}>`:a`<${o} title="No service is checked yet" example=${A}>Add those that matter to <code>dogwatch.toml</code>, and start Dogwatch again:</${o}>`;let s=t=>l.filter(S=>S.service===t.service).length,n=[{name:"state",label:"State",value:t=>x[t.state],cell:t=>a`<div><${w} state=${t.state} /><div class="note nowrap">since <${i} at=${t.state_since} /></div></div>`},{name:"service",label:"Service",lead:!0,value:t=>t.service,cell:t=>a`<${B} item=${t} open=${s(t)} />`},{name:"latency",label:"Latency",numeric:!0,value:t=>y(t),cell:t=>d(y(t))},{name:"checked",label:"Last check",wide:!0,value:t=>t.last_checked_at,cell:t=>a`<${C} item=${t} />`},f("uptime_24h","24 h","last 24 hours"),f("uptime_7d","7 d","last 7 days"),f("uptime_30d","30 d","last 30 days")];return a`<div class="lead-first services"><${b} caption="Services" columns=${n} rows=${e} rowKey=${t=>t.service} sort="-state" /></div>`}var y=e=>e.kind==="heartbeat"?null:e.response_time_ms;function B({item:e,open:l}){return a`
    <a class="lead-line" href=${h("/",{service:e.service})} title="Requests of ${e.service}">${e.service}</a>
    <div class="note clip">${e.kind==="heartbeat"?"heartbeat":a`${e.kind} · ${e.target}`}</div>
    ${e.needs?.length>0&&a`<div class="note">needs ${e.needs.join(", ")}</div>`}
    ${l>0&&a`<a class="note alert-link" href=${h("/alerts",{service:e.service})}>${_(l,"open alert")}</a>`}`}function C({item:e}){let l=e.kind==="heartbeat",r=l?e.last_ok_at&&a`heard <${i} at=${e.last_ok_at} />`:a`<${i} at=${e.last_checked_at} />`,s=[e.consecutive_failures>1&&`${p(e.consecutive_failures)} failures in a row`,e.consecutive_failures>0&&!l&&(e.last_ok_at?a`last well <${i} at=${e.last_ok_at} />`:"never well"),e.last_recovery&&E(e.last_recovery)].filter(Boolean);return a`
    <div>
      ${r}
      ${e.error&&a`<div class="check-error">${e.error}</div>`}
      ${s.length>0&&a`<div class="note">${s.map((n,t)=>a`${t>0?", ":""}${n}`)}</div>`}
    </div>`}function E({began_at:e,kind:l,done:r,error:s,recovered_at:n}){let t=n?`well again after ${d(Date.parse(n)-Date.parse(e))}`:r===!1?`failed: ${s}`:"not well yet";return a`recovery by ${l} <${i} at=${e} />, ${t}`}function P(e){return e==null?"–":e===1?"100%":`${(Math.floor(e*1e4)/100).toFixed(e<.9?1:2)}%`}var D=e=>e>=.999?"good":e>=.98?"warn":"bad";function f(e,l,r){return{name:e,label:`Up ${l}`,title:`How much of the ${r} it was up`,numeric:!0,value:s=>s[e],cell:s=>a`<${H} part=${s[e]} />`}}function H({part:e}){return e==null?a`<span class="faint" title="Not checked in this time">–</span>`:a`
    <div class="uptime">
      ${P(e)}
      <svg class="uptime-bar tone-${D(e)}" viewBox="0 0 100 5" preserveAspectRatio="none" aria-hidden="true">
        <rect class="bar-all" width="100" height="5" /><rect width=${e*100} height="5" fill="currentColor" />
      </svg>
    </div>`}function R({items:e}){if(e.length===0)return null;let l=`curl -X POST ${location.origin}/api/v1/heartbeats/${e[0].service} -H 'authorization: Bearer dw_…'`;return a`
    <${$} title="Never heard">
      <${o} title=${e.map(r=>r.service).join(", ")} example=${l}>A service with <code>heartbeat:</code> has to call at least once in its interval, with a key that has the scope <code>ingest</code>:</${o}>
    </${$}>`}export{L as default};
