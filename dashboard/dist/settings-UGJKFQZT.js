import{a as L,b as $,c as u}from"./chunk-FRM2DHQ7.js";import{d as O}from"./chunk-6QIGAD6N.js";import{a as w,e as I}from"./chunk-7NRPVOUC.js";import{b as E}from"./chunk-FPQXMIIK.js";import{H as q,M,N as i,O as g,P,R as p,S as f,T as W,U as _,V as m,Y as v,d as h,k as a,m as k,n as N,o as R,t as b}from"./chunk-M7XSJUA7.js";var H=[["jobs.thresholds.","When an alert is raised"],["monitoring.","What is slow, and what is stored"],["jobs.","Data and trends"]],K={"jobs.thresholds.window_minutes":"Rules look at the last","jobs.thresholds.cpu_percent":"CPU use of a host above","jobs.thresholds.memory_percent":"Memory use of a host above","jobs.thresholds.disk_percent":"Disk use above","jobs.thresholds.error_rate_percent":"Error rate of a service above","jobs.thresholds.response_time_ms":"p95 of an endpoint above","jobs.thresholds.trend_change_percent":"Trend: worse for good by","jobs.thresholds.limit_in_hours":"Disk or memory: full within","jobs.thresholds.min_requests":"Not with fewer than","jobs.retention_days":"Data is kept for","jobs.trend_min_change_percent":"Smallest change that is a trend","monitoring.enabled":"What services send is stored","monitoring.slow_query_ms":"A query is slow from","monitoring.slow_request_ms":"A request is slow from","monitoring.log_ms":"Logged when it takes"},V={percent:"%",milliseconds:"ms"},A=e=>H.find(([s])=>e.startsWith(s))??["","More"],S=e=>K[e]??q(e.slice(A(e)[0].length)),C=e=>V[e.unit]??e.unit,d=e=>typeof e=="boolean"?e?"on":"off":String(e);function B(){let e=b("/performance/config",{every:15e3});return a`
    <${p} poll=${e} lines=${8}>
      ${({settings:s})=>{let l=[...new Set(s.map(o=>A(o.name)[1]))];return a`<div class="settings-columns">${l.map(o=>a`
          <${i} key=${o} title=${o}>
            <div class="settings">${s.filter(n=>A(n.name)[1]===o).map(n=>a`<${J} key=${n.name} setting=${n} refresh=${e.refresh} />`)}</div>
          </${i}>`)}</div>`}}
    </${p}>`}function J({setting:e,refresh:s}){let l=L("admin"),[o,n]=h(null),[t,c]=h(null),T=typeof e.default=="boolean",j=e.value!==e.default,x=o!==null&&o!==d(e.value);async function D(r){c(null);try{await N("/performance/config",{[e.name]:r})}catch(G){c(G);return}n(null);let F=r===null?`${d(e.default)}, as the file says`:d(r);v(`Stored. ${S(e.name)}: ${F}.`),s()}let Y=r=>(r.preventDefault(),D(T?o==="on":Number(o))),z=T?a`<select id=${e.name} value=${o??d(e.value)} disabled=${!!l} onChange=${r=>n(r.target.value)}>
        ${["on","off"].map(r=>a`<option value=${r} selected=${r===(o??d(e.value))}>${r}</option>`)}
      </select><span class="setting-unit"></span>`:a`<input id=${e.name} type="number" step="any" min="0" required value=${o??d(e.value)} disabled=${!!l} onInput=${r=>n(r.target.value)} />
      <span class="faint setting-unit">${C(e)}</span>`;return a`
    <form class="setting" onSubmit=${Y}>
      <label for=${e.name} title=${e.name}>${S(e.name)}</label>
      <span class="setting-control">${z}</span>
      <span class="setting-actions">
        ${x&&a`<button type="submit" class="button primary small">Save</button><${f} kind="quiet small" onClick=${()=>{n(null),c(null)}}>Undo</${f}>`}
        ${!x&&j&&a`<${f} kind="small" why=${l} aria-label="Reset ${S(e.name)}" onClick=${()=>D(null)}>Reset to ${d(e.default)}</${f}>`}
      </span>
      ${e.changed_at&&j&&a`<span class="note setting-note">changed by ${e.changed_by}, <${m} at=${e.changed_at} />; the file says ${d(e.default)}${C(e)?` ${C(e)}`:""}</span>`}
      <${P} error=${t} />
    </form>`}var Q=[["ingest","send metrics, spans and heartbeats"],["read","look at everything"],["enqueue","enqueue jobs"],["alerts","report, acknowledge, resolve and silence alerts"],["write","act on jobs, queues and schedules; enqueue, act on alerts, and look"],["admin","everything: also remove jobs and data, change keys and settings"]],X=[["","Never"],["30","After 30 days"],["90","After 90 days"],["365","After a year"]],Z=864e5;function y(e){return e.revoked_at?"revoked":e.expires_at&&Date.parse(e.expires_at)<=Date.now()?"expired":"valid"}var ee={valid:"good",expired:"warn",revoked:"none"};function U(){let e=b("/keys",{every:15e3}),[s,l]=h(null),o=[{name:"name",label:"Name",lead:!0,value:t=>t.name,cell:t=>a`<span class="lead-line">${t.name}</span>`},{name:"state",label:"State",value:y,cell:t=>a`<div><${M} state=${y(t)} tone=${ee[y(t)]} />${t.revoked_at&&a`<div class="note"><${m} at=${t.revoked_at} /></div>`}</div>`},{name:"scopes",label:"Scopes",cell:t=>t.scopes.join(", ")},{name:"tenant",label:"Tenant",value:t=>t.tenant??"",cell:t=>t.tenant??a`<span class="faint">all</span>`},{name:"created",label:"Made",value:t=>t.created_at,cell:t=>a`<div><${m} at=${t.created_at} /><div class="note">by ${t.created_by}</div></div>`},{name:"used",label:"Last used",value:t=>t.last_used_at,cell:t=>a`<${m} at=${t.last_used_at} />`},{name:"expires",label:"Ends",value:t=>t.expires_at,cell:t=>a`<${m} at=${t.expires_at} />`},{name:"actions",label:"",numeric:!0,cell:t=>!t.revoked_at&&a`<div class="row-actions">${y(t)==="valid"&&a`<${ne} apiKey=${t} onMade=${c=>{l(c),e.refresh()}} />`}<${se} apiKey=${t} refresh=${e.refresh} /></div>`}],n=a`
    <${u} kind="primary" dialog=${t=>a`<${te} onClose=${t} onMade=${c=>{l(c),e.refresh()}} />`}>Make a key</${u}>`;return a`
    <${i} title="API keys" flush=${!0} aside=${n}>
      <${p} poll=${e} lines=${4}>
        ${({items:t})=>t.length===0?a`<${g} title="There are no keys yet">Without one, only this machine can use the API. Make one for each service and each person.</${g}>`:a`<${I} caption="API keys" columns=${o} rows=${t} rowKey=${c=>c.id} param="keys" />`}
      </${p}>
    </${i}>
    ${s&&a`<${ae} created=${s} onClose=${()=>l(null)} />`}`}function te({onClose:e,onMade:s}){async function l(o){let n=Number(o.get("days")),t=o.getAll("scopes");if(t.length===0)throw{title:"Choose a scope",detail:"A key without one could do nothing."};s(await k("/keys",{name:o.get("name").trim(),scopes:t,tenant:o.get("tenant").trim()||null,expires_at:n?new Date(Date.now()+n*Z).toISOString():null}))}return a`
    <${$} title="Make a key" submit="Make it" onSubmit=${l} onClose=${e}>
      <label>Name<input name="name" required maxlength="100" autofocus autocomplete="off" placeholder="Who or what uses it, such as “shop”" /></label>
      <fieldset class="choices">
        <legend>Scopes</legend>
        ${Q.map(([o,n])=>a`<label><input type="checkbox" name="scopes" value=${o} /><span><strong>${o}</strong> <span class="soft">${n}</span></span></label>`)}
      </fieldset>
      <label>Tenant<input name="tenant" autocomplete="off" placeholder="All" /></label>
      <label>Ends<select name="days">${X.map(([o,n])=>a`<option value=${o}>${n}</option>`)}</select></label>
    </${$}>`}function ae({created:e,onClose:s}){return a`
    <${_} title="The key “${e.name}”" onClose=${s}>
      <p>Copy it now: it is shown this once, and nobody can read it again.</p>
      <div class="example secret"><pre tabindex="0" role="region" aria-label="The key">${e.secret}</pre><${W} text=${e.secret} /></div>
      <p class="note">Programs send it as <code>Authorization: Bearer …</code>; people sign in with it.</p>
    </${_}>`}var oe=[["1h","An hour"],["24h","A day"],["7d","A week"]];function ne({apiKey:e,onMade:s}){let l=async o=>s(await k(`/keys/${e.id}/rotate`,{overlap:o.get("overlap")}));return a`
    <${u} kind="small" aria-label="Rotate ${e.name}" dialog=${o=>a`
      <${$} title="Rotate the key “${e.name}”?" submit="Rotate" onSubmit=${l} onClose=${o}>
        <p>A new key with the same name, scopes and tenant takes its place.</p>
        <label>This one is valid for<select name="overlap">${oe.map(([n,t])=>a`<option value=${n}>${t}</option>`)}</select></label>
      </${$}>`}>Rotate</${u}>`}function se({apiKey:e,refresh:s}){async function l(){await R(`/keys/${e.id}`),v(`The key “${e.name}” is revoked.`),s()}return a`
    <${u} kind="small" aria-label="Revoke ${e.name}" dialog=${o=>a`
      <${$} title="Revoke the key “${e.name}”?" submit="Revoke" kind="danger" onSubmit=${l} onClose=${o}>
        <p>Within seconds it opens nothing, and whoever has signed in with it is signed out. This cannot be undone.</p>
      </${$}>`}>Revoke</${u}>`}function le(){let e=E(),s=e.may("admin")&&!e.isTenant;return a`
    <${w} title="Settings">
      <${i} title="You">
        <${O} items=${[["Key",e.has_key?e.name:a`none: on this machine the API asks for no key`],["Scopes",e.scopes.join(", ")],["Tenant",e.tenant??"all"]]} />
      </${i}>
      ${s?a`<${B} /><${U} />`:a`<${i} title="Thresholds and keys"><p class="soft">Whoever signs in with a key of scope <code>admin</code> changes them here. Ask one of them, or on the machine of Dogwatch: <code>dogwatch keys create NAME --scope admin</code></p></${i}>`}
    </${w}>`}export{le as default};
