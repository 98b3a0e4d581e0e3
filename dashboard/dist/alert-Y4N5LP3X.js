import{a as h,b as S,d as N,g as C,h as O,i as W}from"./chunk-GTQJSD3K.js";import{a as _,d as A,e as T}from"./chunk-FRM2DHQ7.js";import{d as E}from"./chunk-6QIGAD6N.js";import{a as c,e as k}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{H as w,I as v,J as $,M as r,N as i,O as d,R as f,V as l,ca as y,ea as m,k as t,t as u,w as p}from"./chunk-M7XSJUA7.js";var L=()=>t`<a href=${m("/alerts")}>Alerts</a>`;function P(){let e=y().params.get("id"),o=u(e&&`/performance/alerts/${encodeURIComponent(e)}`),s=u("/performance/silences"),n=o.data,I=_("alerts"),[q,g]=S(()=>{o.refresh(),s.refresh()}),H=a=>()=>n&&!I&&a.fits(n)&&g(a.name,n);return A(Object.fromEntries(h.map(a=>[a.key,H(a)]))),e?t`
    <${c} title=${n?.title??"Alert"} trail=${L()} actions=${n&&t`<${C} alert=${n} ask=${g} kind="" />`}>
      <${f} poll=${o} lines=${10}>
        ${a=>t`
          <div class="columns-2 alert-page">
            <div class="stack">
              <${R} alert=${a} silence=${O(a,s.data?.items??[])} />
              <${i} title="Labels" note="What routes and silences go by"><${W} labels=${a.labels} /></${i}>
              ${a.status!=="resolved"&&t`<${T} keys=${Object.fromEntries(h.map(b=>[b.key,b.label.toLowerCase()]))} />`}
            </div>
            <div class="stack">
              <${B} alert=${a} />
              <${K} notifications=${a.notifications} />
            </div>
          </div>`}
      </${f}>
    </${c}>
    ${q}`:t`<${c} title="Alert" trail=${L()}><${d} title="Which alert?">Choose one in the <a href=${m("/alerts")}>list of alerts</a>.</${d}></${c}>`}function R({alert:e,silence:o}){let s=e.service&&t`<a href=${m("/endpoints",{service:e.service})}>${e.service}</a>`,n=e.acknowledged_at&&t`by ${e.acknowledged_by}, <${l} at=${e.acknowledged_at} />`;return t`
    <${i}>
      <div class="state-line"><${r} state=${e.severity} /><${N} alert=${e} />${o&&t`<span class="soft">Silenced, ends <${l} at=${o.ends_at} /></span>`}</div>
      ${e.description&&t`<p class="alert-description">${e.description}</p>`}
      ${e.value!==null&&t`
        <div class="measured">
          <div><div class="note">Value</div><div class="measured-figure">${$(e.value,e.unit)}</div></div>
          ${e.threshold!==null&&t`<div><div class="note">Threshold</div><div class="measured-figure soft">${$(e.threshold,e.unit)}</div></div>`}
        </div>`}
      ${e.note&&t`<blockquote class="said">${e.note}</blockquote>`}
      <${E} items=${[["Type",t`<code>${e.alert_type}</code>`],["Service",s],["Endpoint",e.endpoint],["Host",e.host],["Tenant",e.tenant],["Seen",`${v(e.occurrences,"time")}`],["First seen",t`<${l} at=${e.first_seen_at} />`],["Last seen",t`<${l} at=${e.last_seen_at} />`],["Raised",e.raised_at&&t`<${l} at=${e.raised_at} />`],["Came back",e.reopened>0?t`${v(e.reopened,"time")}${e.is_flapping?"; it comes and goes, and is held open until it is calm":""}`:null],["Acknowledged",n],["Resolved",e.resolved_at&&t`<${l} at=${e.resolved_at} />`]]} />
    </${i}>`}var j={raised:"bad",reopened:"bad",flapping:"warn",escalated:"warn",reminded:"mild",acknowledged:"mild",pending:"none",resolved:"good"};function B({alert:e}){let o=[...e.events].reverse();return t`
    <${i} title="History" aside=${t`<span class="note">${p(o.length)} ${o.length===1?"event":"events"}</span>`}>
      <ol class="timeline">
        ${o.map((s,n)=>t`
          <li key=${`${s.occurred_at} ${n}`}>
            <div class="timeline-head"><${r} state=${s.event} tone=${j[s.event]} /><span class="note"><${l} at=${s.occurred_at} /></span></div>
            <div class="soft">${[s.actor&&`by ${s.actor}`,s.value!==null&&`value ${$(s.value,e.unit)}`].filter(Boolean).join(", ")}</div>
            ${s.note&&t`<blockquote class="said">${s.note}</blockquote>`}
          </li>`)}
      </ol>
    </${i}>`}var F={delivered:"good",failed:"bad",sending:"mild",waiting:"mild",held:"warn",suppressed:"none"};function K({notifications:e}){let o=[{name:"event",label:"What",lead:!0,cell:s=>w(s.event)},{name:"channel",label:"Channel",cell:s=>t`<code>${s.channel}</code>`},{name:"state",label:"State",wide:!0,cell:s=>t`<div><${r} state=${s.state} tone=${F[s.state]} />${s.reason&&t`<div class="note">${s.reason}</div>`}</div>`},{name:"attempts",label:"Attempts",numeric:!0,cell:s=>p(s.attempts)},{name:"at",label:"When",cell:s=>t`<${l} at=${s.delivered_at??s.created_at} />`}];return t`
    <${i} title="Who was told" flush=${!0}>
      ${e.length===0?t`<${d} title="Nobody was told yet">Routes and channels stand in <code>dogwatch.toml</code>; <code>dogwatch channels list</code> shows them.</${d}>`:t`<${k} caption="Who was told" columns=${o} rows=${e} rowKey=${s=>s.id} param="told" />`}
    </${i}>`}export{P as default};
