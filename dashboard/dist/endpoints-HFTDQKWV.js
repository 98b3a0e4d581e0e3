import{a as T}from"./chunk-XB4NO67G.js";import{e as s,f}from"./chunk-6Q2OUO46.js";import{a as c,b as m,c as d,d as u,e as E}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as w,N as a,O as r,R as $,fa as g,ga as h,k as o,t as p}from"./chunk-M7XSJUA7.js";var x=500,q=["100","500","1000","5000"],y=[s.endpoint,s.count,s.errors,s.mean,s.p50,s.p95,s.p99,s.max,s.change];function C(){let[t,i]=h("q"),l=p(u("endpoints",{limit:x}),{every:d()}),n=l.data?.items??[],e=n.filter(_=>f(_).toLowerCase().includes(t.trim().toLowerCase())),L=l.data&&(t?`${e.length} of ${n.length}`:w(n.length,"endpoint"))+(l.data.next_cursor?`: the ${x} busiest`:"");return o`
    <${c} title="Endpoints" filters=${["service","tenant","time"]}>
      <${a} flush title="All endpoints" note=${L} aside=${o`<${N} value=${t} onInput=${i} label="Filter endpoints" />`}>
        <${$} poll=${l} lines=${10}>
          ${()=>e.length>0?o`<${E} caption="Endpoints" columns=${y} rows=${e} rowKey=${f} sort="-count" />`:o`<${O} text=${t} />`}
        </${$}>
      </${a}>
      <${S} />
    </${c}>`}var N=({value:t,onInput:i,label:l})=>o`
  <input type="search" data-filter aria-label=${l} placeholder="Filter  ( / )" value=${t} onInput=${n=>i(n.target.value)} spellcheck=${!1} />`;function O({text:t}){return t?o`<${r} title="No endpoint has “${t}” in its name"><a href=${g({q:null})}>Show all</a></${r}>`:o`
    <${r} title="No requests ${m()}" example=${`export OTEL_SERVICE_NAME=shop
export OTEL_EXPORTER_OTLP_ENDPOINT=${location.protocol}//${location.hostname}:4318`}>
      Choose a longer time range or fewer filters; or let a service with OpenTelemetry send its spans here.
    </${r}>`}function S(){let[t,i]=h("threshold","1000"),l=p(u("slow-requests",{threshold_ms:t,limit:25}),{every:Math.max(d(),1e4)}),n=o`
    <label class="choice">At least
      <select value=${t} onChange=${e=>i(e.target.value)}>
        ${q.map(e=>o`<option value=${e} selected=${e===t}>${e<1e3?`${e} ms`:`${e/1e3} s`}</option>`)}
      </select>
    </label>`;return o`
    <${a} flush title="Slow requests" note="The slowest ${m()}, at most 25" aside=${n}>
      <${$} poll=${l} lines=${6}>
        ${({items:e})=>e.length>0?o`<${T} items=${e} />`:o`<${r} title="No request took that long">Choose a lower threshold to see the slowest there were.</${r}>`}
      </${$}>
    </${a}>`}export{C as default};
