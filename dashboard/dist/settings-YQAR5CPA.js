import{a as O,b as u,c as p}from"./chunk-FRM2DHQ7.js";import{d as B}from"./chunk-6QIGAD6N.js";import{a as S,e as g}from"./chunk-7NRPVOUC.js";import{b as q}from"./chunk-FPQXMIIK.js";import{H as M,M as W,N as r,O as f,P,R as c,S as y,T as L,U as _,V as m,Y as v,d as b,k as t,m as w,n as E,o as R,t as h}from"./chunk-M7XSJUA7.js";var H=e=>e.replaceAll("_"," "),J=[{name:"at",label:"When",lead:!0,value:e=>e.id,cell:e=>t`<${m} at=${e.occurred_at} />`},{name:"action",label:"What",value:e=>e.action,cell:e=>H(e.action)},{name:"target",label:"To what",value:e=>e.target??"",cell:e=>t`<span title=${e.details?JSON.stringify(e.details):""}>${e.target}</span>`},{name:"actor",label:"By",value:e=>e.actor,cell:e=>e.actor},{name:"address",label:"From",value:e=>e.address??"",cell:e=>e.address}];function I(){let e=h("/audit?limit=50",{every:3e4});return t`
    <${r} title="Audit log" flush=${!0} note="The last 50; all of it: dogwatch audit">
      <${c} poll=${e} lines=${4}>
        ${({items:n})=>n.length===0?t`<${f} title="Nothing is in the audit log yet">Sign-ins, refused keys and changes by people are shown here.</${f}>`:t`<${g} caption="Audit log" columns=${J} rows=${n} rowKey=${l=>l.id} sort="-at" param="audit" />`}
      </${c}>
    </${r}>`}var V=[["jobs.thresholds.","When an alert is raised"],["monitoring.","What is slow, and what is stored"],["jobs.","Data and trends"]],Q={"jobs.thresholds.window_minutes":"Rules look at the last","jobs.thresholds.cpu_percent":"CPU use of a host above","jobs.thresholds.memory_percent":"Memory use of a host above","jobs.thresholds.disk_percent":"Disk use above","jobs.thresholds.error_rate_percent":"Error rate of a service above","jobs.thresholds.response_time_ms":"p95 of an endpoint above","jobs.thresholds.trend_change_percent":"Trend: worse for good by","jobs.thresholds.limit_in_hours":"Disk or memory: full within","jobs.thresholds.min_requests":"Not with fewer than","jobs.retention_days":"Data is kept for","jobs.trend_min_change_percent":"Smallest change that is a trend","monitoring.enabled":"What services send is stored","monitoring.slow_query_ms":"A query is slow from","monitoring.slow_request_ms":"A request is slow from","monitoring.log_ms":"Logged when it takes"},X={percent:"%",milliseconds:"ms"},T=e=>V.find(([n])=>e.startsWith(n))??["","More"],C=e=>Q[e]??M(e.slice(T(e)[0].length)),A=e=>X[e.unit]??e.unit,$=e=>typeof e=="boolean"?e?"on":"off":String(e);function U(){let e=h("/performance/config",{every:15e3});return t`
    <${c} poll=${e} lines=${8}>
      ${({settings:n})=>{let l=[...new Set(n.map(o=>T(o.name)[1]))];return t`<div class="settings-columns">${l.map(o=>t`
          <${r} key=${o} title=${o}>
            <div class="settings">${n.filter(s=>T(s.name)[1]===o).map(s=>t`<${Z} key=${s.name} setting=${s} refresh=${e.refresh} />`)}</div>
          </${r}>`)}</div>`}}
    </${c}>`}function Z({setting:e,refresh:n}){let l=O("admin"),[o,s]=b(null),[a,d]=b(null),j=typeof e.default=="boolean",D=e.value!==e.default,x=o!==null&&o!==$(e.value);async function N(i){d(null);try{await E("/performance/config",{[e.name]:i})}catch(G){d(G);return}s(null);let z=i===null?`${$(e.default)}, as the file says`:$(i);v(`Stored. ${C(e.name)}: ${z}.`),n()}let K=i=>(i.preventDefault(),N(j?o==="on":Number(o))),Y=j?t`<select id=${e.name} value=${o??$(e.value)} disabled=${!!l} onChange=${i=>s(i.target.value)}>
        ${["on","off"].map(i=>t`<option value=${i} selected=${i===(o??$(e.value))}>${i}</option>`)}
      </select><span class="setting-unit"></span>`:t`<input id=${e.name} type="number" step="any" min="0" required value=${o??$(e.value)} disabled=${!!l} onInput=${i=>s(i.target.value)} />
      <span class="faint setting-unit">${A(e)}</span>`;return t`
    <form class="setting" onSubmit=${K}>
      <label for=${e.name} title=${e.name}>${C(e.name)}</label>
      <span class="setting-control">${Y}</span>
      <span class="setting-actions">
        ${x&&t`<button type="submit" class="button primary small">Save</button><${y} kind="quiet small" onClick=${()=>{s(null),d(null)}}>Undo</${y}>`}
        ${!x&&D&&t`<${y} kind="small" why=${l} aria-label="Reset ${C(e.name)}" onClick=${()=>N(null)}>Reset to ${$(e.default)}</${y}>`}
      </span>
      ${e.changed_at&&D&&t`<span class="note setting-note">changed by ${e.changed_by}, <${m} at=${e.changed_at} />; the file says ${$(e.default)}${A(e)?` ${A(e)}`:""}</span>`}
      <${P} error=${a} />
    </form>`}var ee=[["ingest","send metrics, spans and heartbeats"],["read","look at everything"],["enqueue","enqueue jobs"],["alerts","report, acknowledge, resolve and silence alerts"],["write","act on jobs, queues and schedules; enqueue, act on alerts, and look"],["admin","everything: also remove jobs and data, change keys and settings"]],te=[["","Never"],["30","After 30 days"],["90","After 90 days"],["365","After a year"]],ae=864e5;function k(e){return e.revoked_at?"revoked":e.expires_at&&Date.parse(e.expires_at)<=Date.now()?"expired":"valid"}var oe={valid:"good",expired:"warn",revoked:"none"};function F(){let e=h("/keys",{every:15e3}),[n,l]=b(null),o=[{name:"name",label:"Name",lead:!0,value:a=>a.name,cell:a=>t`<span class="lead-line">${a.name}</span>`},{name:"state",label:"State",value:k,cell:a=>t`<div><${W} state=${k(a)} tone=${oe[k(a)]} />${a.revoked_at&&t`<div class="note"><${m} at=${a.revoked_at} /></div>`}</div>`},{name:"scopes",label:"Scopes",cell:a=>a.scopes.join(", ")},{name:"tenant",label:"Tenant",value:a=>a.tenant??"",cell:a=>a.tenant??t`<span class="faint">all</span>`},{name:"created",label:"Made",value:a=>a.created_at,cell:a=>t`<div><${m} at=${a.created_at} /><div class="note">by ${a.created_by}</div></div>`},{name:"used",label:"Last used",value:a=>a.last_used_at,cell:a=>t`<${m} at=${a.last_used_at} />`},{name:"expires",label:"Ends",value:a=>a.expires_at,cell:a=>t`<${m} at=${a.expires_at} />`},{name:"actions",label:"",numeric:!0,cell:a=>!a.revoked_at&&t`<div class="row-actions">${k(a)==="valid"&&t`<${re} apiKey=${a} onMade=${d=>{l(d),e.refresh()}} />`}<${ie} apiKey=${a} refresh=${e.refresh} /></div>`}],s=t`
    <${p} kind="primary" dialog=${a=>t`<${ne} onClose=${a} onMade=${d=>{l(d),e.refresh()}} />`}>Make a key</${p}>`;return t`
    <${r} title="API keys" flush=${!0} aside=${s}>
      <${c} poll=${e} lines=${4}>
        ${({items:a})=>a.length===0?t`<${f} title="There are no keys yet">Without one, only the owner of this Dogwatch can use it, on its machine. Make one for each service and each person.</${f}>`:t`<${g} caption="API keys" columns=${o} rows=${a} rowKey=${d=>d.id} param="keys" />`}
      </${c}>
    </${r}>
    ${n&&t`<${se} created=${n} onClose=${()=>l(null)} />`}`}function ne({onClose:e,onMade:n}){async function l(o){let s=Number(o.get("days")),a=o.getAll("scopes");if(a.length===0)throw{title:"Choose a scope",detail:"A key without one could do nothing."};n(await w("/keys",{name:o.get("name").trim(),scopes:a,tenant:o.get("tenant").trim()||null,expires_at:s?new Date(Date.now()+s*ae).toISOString():null}))}return t`
    <${u} title="Make a key" submit="Make it" onSubmit=${l} onClose=${e}>
      <label>Name<input name="name" required maxlength="100" autofocus autocomplete="off" placeholder="Who or what uses it, such as “shop”" /></label>
      <fieldset class="choices">
        <legend>Scopes</legend>
        ${ee.map(([o,s])=>t`<label><input type="checkbox" name="scopes" value=${o} /><span><strong>${o}</strong> <span class="soft">${s}</span></span></label>`)}
      </fieldset>
      <label>Tenant<input name="tenant" autocomplete="off" placeholder="All" /></label>
      <label>Ends<select name="days">${te.map(([o,s])=>t`<option value=${o}>${s}</option>`)}</select></label>
    </${u}>`}function se({created:e,onClose:n}){return t`
    <${_} title="The key “${e.name}”" onClose=${n}>
      <p>Copy it now: it is shown this once, and nobody can read it again.</p>
      <div class="example secret"><pre tabindex="0" role="region" aria-label="The key">${e.secret}</pre><${L} text=${e.secret} /></div>
      <p class="note">Programs send it as <code>Authorization: Bearer …</code>; people sign in with it.</p>
    </${_}>`}var le=[["1h","An hour"],["24h","A day"],["7d","A week"]];function re({apiKey:e,onMade:n}){let l=async o=>n(await w(`/keys/${e.id}/rotate`,{overlap:o.get("overlap")}));return t`
    <${p} kind="small" aria-label="Rotate ${e.name}" dialog=${o=>t`
      <${u} title="Rotate the key “${e.name}”?" submit="Rotate" onSubmit=${l} onClose=${o}>
        <p>A new key with the same name, scopes and tenant takes its place.</p>
        <label>This one is valid for<select name="overlap">${le.map(([s,a])=>t`<option value=${s}>${a}</option>`)}</select></label>
      </${u}>`}>Rotate</${p}>`}function ie({apiKey:e,refresh:n}){async function l(){await R(`/keys/${e.id}`),v(`The key “${e.name}” is revoked.`),n()}return t`
    <${p} kind="small" aria-label="Revoke ${e.name}" dialog=${o=>t`
      <${u} title="Revoke the key “${e.name}”?" submit="Revoke" kind="danger" onSubmit=${l} onClose=${o}>
        <p>Within seconds it opens nothing, and whoever has signed in with it is signed out. This cannot be undone.</p>
      </${u}>`}>Revoke</${p}>`}function de(){let e=q(),n=e.may("admin")&&!e.isTenant;return t`
    <${S} title="Settings">
      <${r} title="You">
        <${B} items=${[["Key",e.has_key?e.name:t`none: you own this Dogwatch, and no key was made yet`],["Scopes",e.scopes.join(", ")],["Tenant",e.tenant??"all"]]} />
      </${r}>
      ${n?t`<${U} /><${F} /><${I} />`:t`<${r} title="Thresholds and keys"><p class="soft">Whoever signs in with a key of scope <code>admin</code> changes them here. Ask one of them, or on the machine of Dogwatch: <code>dogwatch keys create NAME --scope admin</code></p></${r}>`}
    </${S}>`}export{de as default};
