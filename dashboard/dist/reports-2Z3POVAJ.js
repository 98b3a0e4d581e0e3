import{b as g}from"./chunk-F4HTYYJN.js";import{a as _,b as $,c as u}from"./chunk-FRM2DHQ7.js";import{a as m,e as k}from"./chunk-7NRPVOUC.js";import{b as w}from"./chunk-FPQXMIIK.js";import{C as l,G as b,O as i,R as c,V as y,Y as T,d as p,k as t,m as h,t as f}from"./chunk-M7XSJUA7.js";var d="generate_performance_report",M=[[24,"The last day"],[168,"The last week"],[720,"The last 30 days"],[1,"The last hour"]],v=a=>b(a,new Date(0)),j=(a,o)=>`/api/v1/performance/reports/${a.id}?format=${o}`;function x(){let a=f("/performance/reports",{every:15e3}),o=w(),n=[{name:"title",label:"Report",lead:!0,value:e=>e.title,cell:e=>t`<a class="lead-line" href=${j(e,"html")} target="_blank" rel="noopener">${e.title}<span class="visually-hidden"> (opens in a new tab)</span></a>`},{name:"window",label:"Of",value:e=>e.window_start,cell:e=>t`<span title="${l(e.window_start)} to ${l(e.window_end)}">${v(e.window_start)} to ${v(e.window_end)}</span>`},...o.isTenant?[]:[{name:"tenant",label:"Tenant",value:e=>e.tenant??"",cell:e=>e.tenant??t`<span class="faint">all</span>`}],{name:"created",label:"Made",value:e=>e.created_at,cell:e=>t`<${y} at=${e.created_at} />`},{name:"forms",label:"",numeric:!0,cell:e=>t`<${N} report=${e} />`}];return t`
    <${m} title="Reports" actions=${!o.isTenant&&t`<${R} />`}>
      <section class="card flush" aria-label="Reports">
        <${c} poll=${a} lines=${6}>
          ${({items:e})=>e.length===0?t`<${i} title="There are no reports yet" example="dogwatch enqueue ${d} --args '{&quot;hours&quot;: 24}'">The schedule <code>${d}</code> makes one each day. Make one now:</${i}>`:t`<${k} caption="Reports" columns=${n} rows=${e} rowKey=${s=>s.id} sort="-created" />`}
        </${c}>
      </section>
    </${m}>`}var N=({report:a})=>t`
  <div class="row-actions">
    ${[["text","Text"],["json","JSON"]].map(([o,n])=>t`
      <a class="button small" href=${j(a,o)} target="_blank" rel="noopener">${n}<span class="visually-hidden"> of ${a.title}, made ${l(a.created_at)} (opens in a new tab)</span></a>`)}
  </div>`;function R(){let a=_("enqueue"),[o,n]=p(null);async function e(s){let{id:r}=await h("/jobs",{job:d,args:{hours:Number(s.get("hours"))}});n({id:r,queue:"default"}),T("A job makes the report; it stands here when it has ended.")}return t`
    ${o&&t`<a class="button quiet" href=${g(o)}>The job that makes it</a>`}
    <${u} kind="primary" why=${a} dialog=${s=>t`
      <${$} title="Make a report" submit="Make it" onSubmit=${e} onClose=${s}>
        <label>Of<select name="hours">${M.map(([r,q])=>t`<option value=${r}>${q}</option>`)}</select></label>
      </${$}>`}>Make a report</${u}>`}export{x as default};
