import{b as l}from"./chunk-FPQXMIIK.js";import{P as b,S as c,U as m,d as a,e as y,g as i,k as s}from"./chunk-M7XSJUA7.js";function K(t="write"){return l().may(t)?void 0:`needs a key with the scope “${t}”`}function P({title:t,submit:n,kind:o="primary",onSubmit:e,onClose:r,children:w}){let[k,p]=a(null),[f,$]=a(!1),d=i(null);async function x(u){if(u.preventDefault(),!f){$(!0),p(null);try{await e(new FormData(d.current)),r()}catch(h){p(h),$(!1)}}}return s`
    <${m} title=${t} onClose=${r}>
      <form class="form" ref=${d} onSubmit=${x}>
        ${w}
        <${b} error=${k} />
        <div class="form-actions">
          <button type="button" class="button" onClick=${u=>u.target.closest("dialog").close()}>Cancel</button>
          <button type="submit" class="button ${o}" aria-busy=${f}>${n}</button>
        </div>
      </form>
    </${m}>`}function B({dialog:t,children:n,...o}){let[e,r]=a(!1);return s`
    <${c} ...${o} aria-haspopup="dialog" onClick=${()=>r(!0)}>${n}</${c}>
    ${e&&t(()=>r(!1))}`}function C(t){let n=i(t);n.current=t,y(()=>{let o=e=>{if(e.defaultPrevented||e.ctrlKey||e.metaKey||e.altKey||e.target.closest?.("input, select, textarea")||document.querySelector("dialog[open]"))return;let r=n.current[e.key];r&&(e.preventDefault(),r(e))};return window.addEventListener("keydown",o),()=>window.removeEventListener("keydown",o)},[])}var N=({keys:t})=>s`
  <p class="key-hints note">${Object.entries(t).map(([n,o])=>s`<span>${n.split(" ").map(e=>s`<kbd>${e}</kbd> `)}${o}</span>`)}</p>`,g="name-of-person";function O(){let{name:t}=l();return s`<label>Your name<input name="by" maxlength="100" required value=${localStorage.getItem(g)??t} autocomplete="name" /></label>`}function q(t){let n=t.get("by").trim();return localStorage.setItem(g,n),n}export{K as a,P as b,B as c,C as d,N as e,O as f,q as g};
