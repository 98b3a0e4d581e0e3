import{A as u,W as d,ea as $,k as n,w as i,x as t,y as p,z as c}from"./chunk-M7XSJUA7.js";var _=.05;function f({after:e,before:a,moreIsWorse:r=!1,format:o=String,short:m=!1}){let s=c(e,a);if(s===null)return null;let l=Math.abs(s)<_,h=l||!r?"none":s>0?"bad":"good";return n`
    <span class="change tone-${h}" title="${o(a)} in the window before">
      <span aria-hidden="true">${l?"≈":s>0?"↑":"↓"}</span> ${u(s)}<span class=${m?"visually-hidden":"change-of"}> against before</span>
    </span>`}var N=({items:e})=>n`
  <dl class="figures">
    ${e.map(({label:a,value:r,tone:o="",note:m,change:s,values:l})=>n`
      <div class="figure">
        <dt>${a}</dt>
        <dd class="figure-value ${o}">${r}</dd>
        <dd class="figure-note">${s}${m&&n`<span class="faint">${m}</span>`}</dd>
        ${l&&n`<dd class="figure-line"><${d} values=${l} label="${a} over time" tone=${o} /></dd>`}
      </div>`)}
  </dl>`;var b=({service:e,method:a,endpoint:r})=>$("/endpoint",{service:e,method:a,endpoint:r});function v({of:e,noService:a=!1}){return e.endpoint?n`
    <a class="lead-line" href=${b(e)}><span class="method">${e.method}</span> ${e.endpoint}</a>
    ${!a&&n`<div class="note">${e.service}</div>`}`:n`<span class="faint">${e.service??"–"}</span>`}var x=.05,E=({part:e})=>n`<span class=${e>=x?"tone-bad strong":e>0?"":"faint"}>${p(e)}</span>`,M=e=>e.before&&e.before.p95_ms>0?e.p95_ms/e.before.p95_ms-1:null,q={endpoint:{name:"endpoint",label:"Endpoint",lead:!0,value:e=>`${e.endpoint} ${e.method} ${e.service}`,cell:e=>n`<${v} of=${e} />`},count:{name:"count",label:"Requests",numeric:!0,value:e=>e.count,cell:e=>i(e.count)},errors:{name:"error_rate",label:"Errors",numeric:!0,value:e=>e.error_rate,cell:e=>n`<${E} part=${e.error_rate} />`},mean:{name:"mean_ms",label:"Mean",numeric:!0,value:e=>e.mean_ms,cell:e=>t(e.mean_ms)},p50:{name:"p50_ms",label:"p50",numeric:!0,value:e=>e.p50_ms,cell:e=>t(e.p50_ms)},p95:{name:"p95_ms",label:"p95",numeric:!0,value:e=>e.p95_ms,cell:e=>t(e.p95_ms)},p99:{name:"p99_ms",label:"p99",numeric:!0,value:e=>e.p99_ms,cell:e=>t(e.p99_ms)},max:{name:"max_ms",label:"Max",numeric:!0,value:e=>e.max_ms,cell:e=>t(e.max_ms)},change:{name:"change",label:"p95 change",numeric:!0,title:"p95 against the window before, of the same length",value:M,cell:e=>e.before?n`<${f} after=${e.p95_ms} before=${e.before.p95_ms} moreIsWorse format=${t} short />`:n`<span class="faint">new</span>`}},F=e=>`${e.service} ${e.method} ${e.endpoint}`;export{f as a,N as b,v as c,x as d,q as e,F as f};
