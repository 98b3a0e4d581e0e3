import{a as B,b as h,c as f}from"./chunk-FRM2DHQ7.js";import{d as L}from"./chunk-6QIGAD6N.js";import{a as g,e as R}from"./chunk-7NRPVOUC.js";import{b as M}from"./chunk-FPQXMIIK.js";import{H as P,M as q,N as i,O as v,P as W,R as $,S as p,T as I,U as k,V as m,Y as y,d as u,k as o,m as D,n as N,o as E,t as b}from"./chunk-M7XSJUA7.js";var G=[["jobs.thresholds.","When an alert is raised"],["monitoring.","What is slow, and what is stored"],["jobs.","Data and trends"]],H={"jobs.thresholds.window_minutes":"Rules look at the last","jobs.thresholds.cpu_percent":"CPU use of a host above","jobs.thresholds.memory_percent":"Memory use of a host above","jobs.thresholds.disk_percent":"Disk use above","jobs.thresholds.error_rate_percent":"Error rate of a service above","jobs.thresholds.response_time_ms":"p95 of an endpoint above","jobs.thresholds.trend_change_percent":"Trend: worse for good by","jobs.thresholds.limit_in_hours":"Disk or memory: full within","jobs.thresholds.min_requests":"Not with fewer than","jobs.retention_days":"Data is kept for","jobs.trend_min_change_percent":"Smallest change that is a trend","monitoring.enabled":"What services send is stored","monitoring.slow_query_ms":"A query is slow from","monitoring.slow_request_ms":"A request is slow from","monitoring.log_ms":"Logged when it takes"},J={percent:"%",milliseconds:"ms"},S=e=>G.find(([s])=>e.startsWith(s))??["","More"],_=e=>H[e]??P(e.slice(S(e)[0].length)),w=e=>J[e.unit]??e.unit,c=e=>typeof e=="boolean"?e?"on":"off":String(e);function O(){let e=b("/performance/config",{every:15e3});return o`
    <${$} poll=${e} lines=${8}>
      ${({settings:s})=>{let l=[...new Set(s.map(a=>S(a.name)[1]))];return o`<div class="settings-columns">${l.map(a=>o`
          <${i} key=${a} title=${a}>
            <div class="settings">${s.filter(n=>S(n.name)[1]===a).map(n=>o`<${Q} key=${n.name} setting=${n} refresh=${e.refresh} />`)}</div>
          </${i}>`)}</div>`}}
    </${$}>`}function Q({setting:e,refresh:s}){let l=B("admin"),[a,n]=u(null),[t,d]=u(null),A=typeof e.default=="boolean",T=e.value!==e.default,j=a!==null&&a!==c(e.value);async function x(r){d(null);try{await N("/performance/config",{[e.name]:r})}catch(F){d(F);return}n(null);let z=r===null?`${c(e.default)}, as the file says`:c(r);y(`Stored. ${_(e.name)}: ${z}.`),s()}let K=r=>(r.preventDefault(),x(A?a==="on":Number(a))),Y=A?o`<select id=${e.name} value=${a??c(e.value)} disabled=${!!l} onChange=${r=>n(r.target.value)}>
        ${["on","off"].map(r=>o`<option value=${r} selected=${r===(a??c(e.value))}>${r}</option>`)}
      </select><span class="setting-unit"></span>`:o`<input id=${e.name} type="number" step="any" min="0" required value=${a??c(e.value)} disabled=${!!l} onInput=${r=>n(r.target.value)} />
      <span class="faint setting-unit">${w(e)}</span>`;return o`
    <form class="setting" onSubmit=${K}>
      <label for=${e.name} title=${e.name}>${_(e.name)}</label>
      <span class="setting-control">${Y}</span>
      <span class="setting-actions">
        ${j&&o`<button type="submit" class="button primary small">Save</button><${p} kind="quiet small" onClick=${()=>{n(null),d(null)}}>Undo</${p}>`}
        ${!j&&T&&o`<${p} kind="small" why=${l} aria-label="Reset ${_(e.name)}" onClick=${()=>x(null)}>Reset to ${c(e.default)}</${p}>`}
      </span>
      ${e.changed_at&&T&&o`<span class="note setting-note">changed by ${e.changed_by}, <${m} at=${e.changed_at} />; the file says ${c(e.default)}${w(e)?` ${w(e)}`:""}</span>`}
      <${W} error=${t} />
    </form>`}var V=[["ingest","send metrics, spans, heartbeats and findings"],["read","look at everything"],["write","look, and act on alerts, jobs, queues and schedules"],["admin","everything, with keys and settings"]],X=[["","Never"],["30","After 30 days"],["90","After 90 days"],["365","After a year"]],Z=864e5;function C(e){return e.revoked_at?"revoked":e.expires_at&&Date.parse(e.expires_at)<=Date.now()?"expired":"valid"}var ee={valid:"good",expired:"warn",revoked:"none"};function U(){let e=b("/keys",{every:15e3}),[s,l]=u(null),a=[{name:"name",label:"Name",lead:!0,value:t=>t.name,cell:t=>o`<span class="lead-line">${t.name}</span>`},{name:"state",label:"State",value:C,cell:t=>o`<div><${q} state=${C(t)} tone=${ee[C(t)]} />${t.revoked_at&&o`<div class="note"><${m} at=${t.revoked_at} /></div>`}</div>`},{name:"scopes",label:"Scopes",cell:t=>t.scopes.join(", ")},{name:"tenant",label:"Tenant",value:t=>t.tenant??"",cell:t=>t.tenant??o`<span class="faint">all</span>`},{name:"created",label:"Made",value:t=>t.created_at,cell:t=>o`<div><${m} at=${t.created_at} /><div class="note">by ${t.created_by}</div></div>`},{name:"used",label:"Last used",value:t=>t.last_used_at,cell:t=>o`<${m} at=${t.last_used_at} />`},{name:"expires",label:"Ends",value:t=>t.expires_at,cell:t=>o`<${m} at=${t.expires_at} />`},{name:"actions",label:"",numeric:!0,cell:t=>!t.revoked_at&&o`<${ae} apiKey=${t} refresh=${e.refresh} />`}],n=o`
    <${f} kind="primary" dialog=${t=>o`<${te} onClose=${t} onMade=${d=>{l(d),e.refresh()}} />`}>Make a key</${f}>`;return o`
    <${i} title="API keys" flush=${!0} aside=${n}>
      <${$} poll=${e} lines=${4}>
        ${({items:t})=>t.length===0?o`<${v} title="There are no keys yet">Without one, only this machine can use the API. Make one for each service and each person.</${v}>`:o`<${R} caption="API keys" columns=${a} rows=${t} rowKey=${d=>d.id} param="keys" />`}
      </${$}>
    </${i}>
    ${s&&o`<${oe} created=${s} onClose=${()=>l(null)} />`}`}function te({onClose:e,onMade:s}){async function l(a){let n=Number(a.get("days")),t=a.getAll("scopes");if(t.length===0)throw{title:"Choose a scope",detail:"A key without one could do nothing."};s(await D("/keys",{name:a.get("name").trim(),scopes:t,tenant:a.get("tenant").trim()||null,expires_at:n?new Date(Date.now()+n*Z).toISOString():null}))}return o`
    <${h} title="Make a key" submit="Make it" onSubmit=${l} onClose=${e}>
      <label>Name<input name="name" required maxlength="100" autofocus autocomplete="off" placeholder="Who or what uses it, such as “shop”" /></label>
      <fieldset class="choices">
        <legend>Scopes</legend>
        ${V.map(([a,n])=>o`<label><input type="checkbox" name="scopes" value=${a} /><span><strong>${a}</strong> <span class="soft">${n}</span></span></label>`)}
      </fieldset>
      <label>Tenant<input name="tenant" autocomplete="off" placeholder="All" /></label>
      <label>Ends<select name="days">${X.map(([a,n])=>o`<option value=${a}>${n}</option>`)}</select></label>
    </${h}>`}function oe({created:e,onClose:s}){return o`
    <${k} title="The key “${e.name}”" onClose=${s}>
      <p>Copy it now: it is shown this once, and nobody can read it again.</p>
      <div class="example secret"><pre tabindex="0" role="region" aria-label="The key">${e.secret}</pre><${I} text=${e.secret} /></div>
      <p class="note">Programs send it as <code>Authorization: Bearer …</code>; people sign in with it.</p>
    </${k}>`}function ae({apiKey:e,refresh:s}){async function l(){await E(`/keys/${e.id}`),y(`The key “${e.name}” is revoked.`),s()}return o`
    <${f} kind="small" aria-label="Revoke ${e.name}" dialog=${a=>o`
      <${h} title="Revoke the key “${e.name}”?" submit="Revoke" kind="danger" onSubmit=${l} onClose=${a}>
        <p>Within seconds it opens nothing, and whoever has signed in with it is signed out. This cannot be undone.</p>
      </${h}>`}>Revoke</${f}>`}function ne(){let e=M(),s=e.may("admin")&&!e.isTenant;return o`
    <${g} title="Settings">
      <${i} title="You">
        <${L} items=${[["Key",e.has_key?e.name:o`none: on this machine the API asks for no key`],["Scopes",e.scopes.join(", ")],["Tenant",e.tenant??"all"]]} />
      </${i}>
      ${s?o`<${O} /><${U} />`:o`<${i} title="Thresholds and keys"><p class="soft">Whoever signs in with a key of scope <code>admin</code> changes them here. Ask one of them, or on the machine of Dogwatch: <code>dogwatch keys create NAME --scope admin</code></p></${i}>`}
    </${g}>`}export{ne as default};
