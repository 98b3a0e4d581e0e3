// Who looks: what their key may do, and whose data they see.

import { createContext, useContext } from "../vendor/htm-preact.js";

export const Session = createContext(null);

/** `{name, scopes, tenant, has_key, may(scope), isTenant}`. */
export function useSession() {
  return useContext(Session);
}

export function session(who) {
  return { ...who, isTenant: who.tenant !== null && who.tenant !== undefined, may: (scope) => who.scopes.includes(scope) };
}
