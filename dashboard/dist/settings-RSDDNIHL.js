import{a as O,b as m,c as $}from"./chunk-FRM2DHQ7.js";import{d as B}from"./chunk-6QIGAD6N.js";import{a as C,e as y}from"./chunk-7NRPVOUC.js";import{b as P}from"./chunk-FPQXMIIK.js";import{H as W,M as q,N as r,O as p,P as M,R as d,S as v,T as L,U as S,V as c,Y as b,d as g,k as t,m as _,n as R,o as k,t as h}from"./chunk-M7XSJUA7.js";var J=e=>e.replaceAll("_"," "),V=[{name:"at",label:"When",lead:!0,value:e=>e.id,cell:e=>t`<${c} at=${e.occurred_at} />`},{name:"action",label:"What",value:e=>e.action,cell:e=>J(e.action)},{name:"target",label:"To what",value:e=>e.target??"",cell:e=>t`<span title=${e.details?JSON.stringify(e.details):""}>${e.target}</span>`},{name:"actor",label:"By",value:e=>e.actor,cell:e=>e.actor},{name:"address",label:"From",value:e=>e.address??"",cell:e=>e.address}];function I(){let e=h("/audit?limit=50",{every:3e4});return t`
    <${r} title="Audit log" flush=${!0} note="The last 50; all of it: dogwatch audit">
      <${d} poll=${e} lines=${4}>
        ${({items:s})=>s.length===0?t`<${p} title="Nothing is in the audit log yet">Sign-ins, refused keys and changes by people are shown here.</${p}>`:t`<${y} caption="Audit log" columns=${V} rows=${s} rowKey=${o=>o.id} sort="-at" param="audit" />`}
      </${d}>
    </${r}>`}var Q=[["jobs.thresholds.","When an alert is raised"],["monitoring.","What is slow, and what is stored"],["jobs.","Data and trends"]],X={"jobs.thresholds.window_minutes":"Rules look at the last","jobs.thresholds.cpu_percent":"CPU use of a host above","jobs.thresholds.memory_percent":"Memory use of a host above","jobs.thresholds.disk_percent":"Disk use above","jobs.thresholds.error_rate_percent":"Error rate of a service above","jobs.thresholds.response_time_ms":"p95 of an endpoint above","jobs.thresholds.trend_change_percent":"Trend: worse for good by","jobs.thresholds.limit_in_hours":"Disk or memory: full within","jobs.thresholds.min_requests":"Not with fewer than","jobs.retention_days":"Data is kept for","jobs.trend_min_change_percent":"Smallest change that is a trend","monitoring.enabled":"What services send is stored","monitoring.slow_query_ms":"A query is slow from","monitoring.slow_request_ms":"A request is slow from","monitoring.log_ms":"Logged when it takes"},Z={percent:"%",milliseconds:"ms"},D=e=>Q.find(([s])=>e.startsWith(s))??["","More"],A=e=>X[e]??W(e.slice(D(e)[0].length)),T=e=>Z[e.unit]??e.unit,f=e=>typeof e=="boolean"?e?"on":"off":String(e);function K(){let e=h("/performance/config",{every:15e3});return t`
    <${d} poll=${e} lines=${8}>
      ${({settings:s})=>{let o=[...new Set(s.map(n=>D(n.name)[1]))];return t`<div class="settings-columns">${o.map(n=>t`
          <${r} key=${n} title=${n}>
            <div class="settings">${s.filter(l=>D(l.name)[1]===n).map(l=>t`<${ee} key=${l.name} setting=${l} refresh=${e.refresh} />`)}</div>
          </${r}>`)}</div>`}}
    </${d}>`}function ee({setting:e,refresh:s}){let o=O("admin"),[n,l]=g(null),[a,u]=g(null),j=typeof e.default=="boolean",x=e.value!==e.default,N=n!==null&&n!==f(e.value);async function E(i){u(null);try{await R("/performance/config",{[e.name]:i})}catch(H){u(H);return}l(null);let G=i===null?`${f(e.default)}, as the file says`:f(i);b(`Stored. ${A(e.name)}: ${G}.`),s()}let Y=i=>(i.preventDefault(),E(j?n==="on":Number(n))),z=j?t`<select id=${e.name} value=${n??f(e.value)} disabled=${!!o} onChange=${i=>l(i.target.value)}>
        ${["on","off"].map(i=>t`<option value=${i} selected=${i===(n??f(e.value))}>${i}</option>`)}
      </select><span class="setting-unit"></span>`:t`<input id=${e.name} type="number" step="any" min="0" required value=${n??f(e.value)} disabled=${!!o} onInput=${i=>l(i.target.value)} />
      <span class="faint setting-unit">${T(e)}</span>`;return t`
    <form class="setting" onSubmit=${Y}>
      <label for=${e.name} title=${e.name}>${A(e.name)}</label>
      <span class="setting-control">${z}</span>
      <span class="setting-actions">
        ${N&&t`<button type="submit" class="button primary small">Save</button><${v} kind="quiet small" onClick=${()=>{l(null),u(null)}}>Undo</${v}>`}
        ${!N&&x&&t`<${v} kind="small" why=${o} aria-label="Reset ${A(e.name)}" onClick=${()=>E(null)}>Reset to ${f(e.default)}</${v}>`}
      </span>
      ${e.changed_at&&x&&t`<span class="note setting-note">changed by ${e.changed_by}, <${c} at=${e.changed_at} />; the file says ${f(e.default)}${T(e)?` ${T(e)}`:""}</span>`}
      <${M} error=${a} />
    </form>`}var te=[["ingest","send metrics, spans and heartbeats"],["read","look at everything"],["enqueue","enqueue jobs"],["alerts","report, acknowledge, resolve and silence alerts"],["write","act on jobs, queues and schedules; enqueue, act on alerts, and look"],["admin","everything: also remove jobs and data, change keys and settings"]],ae=[["","Never"],["30","After 30 days"],["90","After 90 days"],["365","After a year"]],oe=864e5;function w(e){return e.revoked_at?"revoked":e.expires_at&&Date.parse(e.expires_at)<=Date.now()?"expired":"valid"}var ne={valid:"good",expired:"warn",revoked:"none"};function F(){let e=h("/keys",{every:15e3}),[s,o]=g(null),n=[{name:"name",label:"Name",lead:!0,value:a=>a.name,cell:a=>t`<span class="lead-line">${a.name}</span>`},{name:"state",label:"State",value:w,cell:a=>t`<div><${q} state=${w(a)} tone=${ne[w(a)]} />${a.revoked_at&&t`<div class="note"><${c} at=${a.revoked_at} /></div>`}</div>`},{name:"scopes",label:"Scopes",cell:a=>a.scopes.join(", ")},{name:"tenant",label:"Tenant",value:a=>a.tenant??"",cell:a=>a.tenant??t`<span class="faint">all</span>`},{name:"created",label:"Made",value:a=>a.created_at,cell:a=>t`<div><${c} at=${a.created_at} /><div class="note">by ${a.created_by}</div></div>`},{name:"used",label:"Last used",value:a=>a.last_used_at,cell:a=>t`<${c} at=${a.last_used_at} />`},{name:"expires",label:"Ends",value:a=>a.expires_at,cell:a=>t`<${c} at=${a.expires_at} />`},{name:"actions",label:"",numeric:!0,cell:a=>!a.revoked_at&&t`<div class="row-actions">${w(a)==="valid"&&t`<${ie} apiKey=${a} onMade=${u=>{o(u),e.refresh()}} />`}<${de} apiKey=${a} refresh=${e.refresh} /></div>`}],l=t`
    <${$} kind="primary" dialog=${a=>t`<${se} onClose=${a} onMade=${u=>{o(u),e.refresh()}} />`}>Make a key</${$}>`;return t`
    <${r} title="API keys" flush=${!0} aside=${l}>
      <${d} poll=${e} lines=${4}>
        ${({items:a})=>a.length===0?t`<${p} title="There are no keys yet">Without one, only the owner of this Dogwatch can use it, on its machine. Make one for each service and each person.</${p}>`:t`<${y} caption="API keys" columns=${n} rows=${a} rowKey=${u=>u.id} param="keys" />`}
      </${d}>
    </${r}>
    ${s&&t`<${le} created=${s} onClose=${()=>o(null)} />`}`}function se({onClose:e,onMade:s}){async function o(n){let l=Number(n.get("days")),a=n.getAll("scopes");if(a.length===0)throw{title:"Choose a scope",detail:"A key without one could do nothing."};s(await _("/keys",{name:n.get("name").trim(),scopes:a,tenant:n.get("tenant").trim()||null,expires_at:l?new Date(Date.now()+l*oe).toISOString():null}))}return t`
    <${m} title="Make a key" submit="Make it" onSubmit=${o} onClose=${e}>
      <label>Name<input name="name" required maxlength="100" autofocus autocomplete="off" placeholder="Who or what uses it, such as “shop”" /></label>
      <fieldset class="choices">
        <legend>Scopes</legend>
        ${te.map(([n,l])=>t`<label><input type="checkbox" name="scopes" value=${n} /><span><strong>${n}</strong> <span class="soft">${l}</span></span></label>`)}
      </fieldset>
      <label>Tenant<input name="tenant" autocomplete="off" placeholder="All" /></label>
      <label>Ends<select name="days">${ae.map(([n,l])=>t`<option value=${n}>${l}</option>`)}</select></label>
    </${m}>`}function le({created:e,onClose:s}){return t`
    <${S} title="The key “${e.name}”" onClose=${s}>
      <p>Copy it now: it is shown this once, and nobody can read it again.</p>
      <div class="example secret"><pre tabindex="0" role="region" aria-label="The key">${e.secret}</pre><${L} text=${e.secret} /></div>
      <p class="note">Programs send it as <code>Authorization: Bearer …</code>; people sign in with it.</p>
    </${S}>`}var re=[["1h","An hour"],["24h","A day"],["7d","A week"]];function ie({apiKey:e,onMade:s}){let o=async n=>s(await _(`/keys/${e.id}/rotate`,{overlap:n.get("overlap")}));return t`
    <${$} kind="small" aria-label="Rotate ${e.name}" dialog=${n=>t`
      <${m} title="Rotate the key “${e.name}”?" submit="Rotate" onSubmit=${o} onClose=${n}>
        <p>A new key with the same name, scopes and tenant takes its place.</p>
        <label>This one is valid for<select name="overlap">${re.map(([l,a])=>t`<option value=${l}>${a}</option>`)}</select></label>
      </${m}>`}>Rotate</${$}>`}function de({apiKey:e,refresh:s}){async function o(){await k(`/keys/${e.id}`),b(`The key “${e.name}” is revoked.`),s()}return t`
    <${$} kind="small" aria-label="Revoke ${e.name}" dialog=${n=>t`
      <${m} title="Revoke the key “${e.name}”?" submit="Revoke" kind="danger" onSubmit=${o} onClose=${n}>
        <p>Within seconds it opens nothing, and whoever has signed in with it is signed out. This cannot be undone.</p>
      </${m}>`}>Revoke</${$}>`}function U(){let e=h("/sessions",{every:3e4}),s=[{name:"key",label:"Key",lead:!0,value:o=>o.key,cell:o=>t`<span class="lead-line">${o.key}</span>`},{name:"address",label:"From",value:o=>o.address??"",cell:o=>o.address},{name:"created",label:"Signed in",value:o=>o.created_at,cell:o=>t`<${c} at=${o.created_at} />`},{name:"used",label:"Last used",value:o=>o.last_used_at,cell:o=>t`<${c} at=${o.last_used_at} />`},{name:"actions",label:"",numeric:!0,cell:o=>t`<${ce} session=${o} refresh=${e.refresh} />`}];return t`
    <${r} title="Sessions" flush=${!0} note="One that is not used for a week ends">
      <${d} poll=${e} lines=${3}>
        ${({items:o})=>o.length===0?t`<${p} title="No browser has signed in with a key">People sign in with an API key at <code>/sign-in</code>.</${p}>`:t`<${y} caption="Sessions" columns=${s} rows=${o} rowKey=${n=>n.id} sort="-used" param="sessions" />`}
      </${d}>
    </${r}>`}function ce({session:e,refresh:s}){async function o(){await k(`/sessions/${e.id}`),b("The browser is signed out."),s()}return t`
    <${$} kind="small" aria-label="Sign out ${e.key}, ${e.address??""}" dialog=${n=>t`
      <${m} title="Sign this browser out?" submit="Sign out" kind="danger" onSubmit=${o} onClose=${n}>
        <p>Within seconds it has to sign in again. Whoever has the key can.</p>
      </${m}>`}>Sign out</${$}>`}function me(){let e=P(),s=e.may("admin")&&!e.isTenant;return t`
    <${C} title="Settings">
      <${r} title="You">
        <${B} items=${[["Key",e.has_key?e.name:t`none: you own this Dogwatch, and no key was made yet`],["Scopes",e.scopes.join(", ")],["Tenant",e.tenant??"all"]]} />
      </${r}>
      ${s?t`<${K} /><${F} /><${U} /><${I} />`:t`<${r} title="Thresholds and keys"><p class="soft">Whoever signs in with a key of scope <code>admin</code> changes them here. Ask one of them, or on the machine of Dogwatch: <code>dogwatch keys create NAME --scope admin</code></p></${r}>`}
    </${C}>`}export{me as default};
