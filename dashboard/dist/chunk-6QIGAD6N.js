import{ca as i,fa as p,k as e}from"./chunk-M7XSJUA7.js";function b({name:t,label:a,items:l,reset:r=[]}){let{params:s}=i(),o=s.get(t)??l[0][0],$=Object.fromEntries(r.map(n=>[n,null]));return e`
    <nav class="tabs" aria-label=${a}>
      ${l.map(([n,d,c],u)=>e`
        <a href=${p({...$,[t]:u===0?null:n})} aria-current=${n===o?"true":void 0}>
          ${d}${c>0&&e` <span class="tab-count">${c>999?"999+":c}</span>`}
        </a>`)}
    </nav>`}function m({label:t,value:a,set:l,options:r}){return e`
    <label class="choice"><span class="visually-hidden">${t}</span>
      <select value=${a} onChange=${s=>l(s.target.value)}>
        ${r.map(([s,o])=>e`<option value=${s} selected=${s===a}>${o}</option>`)}
      </select>
    </label>`}var g=({value:t,label:a})=>e`<pre class="code" tabindex="0" role="region" aria-label=${a}>${JSON.stringify(t,null,2)}</pre>`,v=({items:t})=>e`
  <dl class="facts">${t.filter(([,a])=>a!=null).map(([a,l])=>e`<dt>${a}</dt><dd>${l}</dd>`)}</dl>`;export{b as a,m as b,g as c,v as d};
