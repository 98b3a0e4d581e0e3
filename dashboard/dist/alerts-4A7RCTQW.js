import{a as y,b as L,c as _,d as R,e as H,f as I,g as M,h as K,j as U}from"./chunk-GTQJSD3K.js";import{a as j,d as x,e as C}from"./chunk-FRM2DHQ7.js";import{a as q,b as B}from"./chunk-6QIGAD6N.js";import{a as h,b as P,e as T}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as w,M as b,O as c,P as A,Q as k,V as v,aa as E,ca as O,ea as N,fa as m,ga as p,k as r,t as f,w as S}from"./chunk-M7XSJUA7.js";var V=[["open","Open"],["active","Active"],["acknowledged","Acknowledged"],["pending","Pending"],["resolved","Resolved"],["all","All"]],z=[["","All severities"],["critical","Critical"],["high","High"],["medium","Medium"],["low","Low"]],D=500,F=`curl -X POST ${location.origin}/api/v1/performance/alerts \\
  -H 'content-type: application/json' -H 'authorization: Bearer dw_…' \\
  -d '{"alert_type": "payment_failures", "service": "shop", "severity": "high", "value": 12.4, "threshold": 5, "unit": "percent"}'`;function G(e,s){let l=new URLSearchParams({limit:D});e&&l.set("status",e);for(let o of["service","tenant","severity","cursor"])s.get(o)&&l.set(o,s.get(o));return(e==="resolved"||e===null)&&l.set("hours",E(s)),`/performance/alerts?${l}`}function J(e,s){let l=f(G(e==="all"?null:e,s));return{...l,items:l.data?.items??null,next:l.data?.next_cursor}}var Q=e=>[e.title,e.description,e.alert_type,e.service,e.endpoint,e.host,e.note,...Object.values(e.labels)].join(" ").toLowerCase();function Y(){let{params:e}=O(),s=V.some(([d])=>d===e.get("status"))?e.get("status"):"open",[l,o]=p("severity"),[a,u]=p("q"),t=J(s,e),n=f("/performance/silences"),i=()=>{t.refresh(),n.refresh()},[$,g]=L(i);re(t.items,g);let W=s==="resolved"||s==="all",X=(t.items??[]).filter(d=>Q(d).includes(a.trim().toLowerCase()));return r`
    <${h} title="Alerts" filters=${W?["service","tenant","time"]:["service","tenant"]}>
      <section class="card flush" aria-label="Alerts">
        <div class="toolbar">
          <${q} name="status" label="Status" items=${V} reset=${["cursor"]} />
          <${B} label="Severity" value=${l} set=${o} options=${z} />
          <label class="search"><span class="visually-hidden">Search in alerts</span>
            <input type="search" data-filter value=${a} placeholder="Search" onInput=${d=>u(d.target.value)} /></label>
        </div>
        <${Z} alerts=${t} shown=${X} status=${s} silences=${n.data?.items??[]} ask=${g} />
        <${se} next=${t.next} isPast=${e.has("cursor")} />
      </section>
      <${U} poll=${n} />
    </${h}>
    ${$}`}function Z({alerts:e,shown:s,status:l,silences:o,ask:a}){if(e.items===null)return e.error?r`<${A} error=${e.error} onRetry=${e.refresh} />`:r`<${k} lines=${6} />`;if(s.length===0)return r`<${te} status=${l} hidden=${e.items.length} />`;let u=[{name:"severity",label:"Severity",value:_,cell:t=>r`<${b} state=${t.severity} />`},{name:"title",label:"Alert",lead:!0,value:t=>t.title,cell:t=>r`<${ee} alert=${t} />`},{name:"value",label:"Value / threshold",numeric:!0,cell:t=>r`<${H} alert=${t} />`},{name:"raised",label:"Raised",value:t=>t.raised_at,cell:t=>r`<div><${v} at=${t.raised_at} none="not yet" /><div class="note nowrap">last seen <${v} at=${t.last_seen_at} /></div></div>`},{name:"times",label:"Seen",title:"How often its condition was seen",numeric:!0,value:t=>t.occurrences,cell:t=>`${S(t.occurrences)} ×`},{name:"status",label:"Status",wide:!0,value:t=>t.status,cell:t=>r`<div><${R} alert=${t} /><${I} alert=${t} silence=${K(t,o)} /></div>`},{name:"actions",label:"",cell:t=>r`<${M} alert=${t} ask=${a} />`}];return r`
    <div class="lead-first ${e.isOld?"is-old":""}">
      <${T} caption="Alerts" columns=${u} rows=${s} rowKey=${t=>t.id} sort=${l==="open"||l==="active"?"-severity":""} />
      <${C} keys=${{"j k":"next, previous alert",...Object.fromEntries(y.map(t=>[t.key,t.label.toLowerCase()]))}} />
    </div>`}function ee({alert:e}){let s=[e.service,e.endpoint,e.host,e.tenant&&`tenant ${e.tenant}`].filter(Boolean).join(" · ");return r`
    <a class="lead-line" data-alert=${e.id} href=${N("/alert",{id:e.id})}>${e.title}</a>
    ${e.description&&r`<div class="soft clip" title=${e.description}>${e.description}</div>`}
    ${s&&r`<div class="note">${s}</div>`}`}function te({status:e,hidden:s}){return s>0?r`<${c} title="No alert fits">${w(s,"alert")} with other severities or words. <a href=${m({severity:null,q:null})}>Show all</a></${c}>`:e==="resolved"||e==="all"?r`<${c} title="No alerts ${P()}">Choose a longer time above.</${c}>`:r`
    <${c} title=${e==="open"||e==="active"?"All is well: no alert is open":`No alert is ${e}`} example=${e==="open"?F:void 0}>
      ${e==="open"&&r`Rules raise alerts by themselves; a service can raise its own:`}
    </${c}>`}function se({next:e,isPast:s}){return!e&&!s?null:r`
    <nav class="paging" aria-label="Pages of the list">
      ${s&&r`<a href=${m({cursor:null})}>Newest</a>`}
      ${e&&r`<a href=${m({cursor:e})}>Older</a>`}
    </nav>`}function re(e,s){let l=j("alerts"),o=()=>[...document.querySelectorAll("[data-alert]")],a=()=>document.activeElement.closest("tr")?.querySelector("[data-alert]"),u=n=>()=>{let i=o(),$=i.indexOf(a());i[$<0?n>0?0:i.length-1:Math.min(Math.max($+n,0),i.length-1)]?.focus()},t=n=>()=>{let i=e?.find($=>$.id===a()?.dataset.alert);i&&!l&&n.fits(i)&&s(n.name,i)};x({j:u(1),k:u(-1),...Object.fromEntries(y.map(n=>[n.key,t(n)]))})}export{Y as default};
