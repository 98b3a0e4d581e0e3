// The pages: their address, their file, and who may see them. What needs all tenants is hidden from the
// key of one.

export const routes = [
  { path: "/", title: "Overview", file: "overview", icon: "overview", group: "Requests", key: "o" },
  { path: "/endpoints", title: "Endpoints", file: "endpoints", icon: "endpoints", group: "Requests", key: "e" },
  { path: "/endpoint", title: "Endpoint", file: "endpoint", within: "/endpoints" },
  { path: "/queries", title: "Queries", file: "queries", icon: "queries", group: "Requests", key: "q" },
  { path: "/query", title: "Query", file: "query", within: "/queries" },
  { path: "/alerts", title: "Alerts", file: "alerts", icon: "alerts", group: "Health", key: "a" },
  { path: "/alert", title: "Alert", file: "alert", within: "/alerts" },
  { path: "/services", title: "Services", file: "services", icon: "services", group: "Health", key: "s", ofAllTenants: true },
  { path: "/jobs", title: "Jobs", file: "jobs", icon: "jobs", group: "Work", key: "j", ofAllTenants: true },
  { path: "/job", title: "Job", file: "job", within: "/jobs", ofAllTenants: true },
  { path: "/schedules", title: "Schedules", file: "schedules", icon: "schedules", group: "Work", key: "c", ofAllTenants: true },
  { path: "/workers", title: "Workers", file: "workers", icon: "workers", group: "Work", key: "w", ofAllTenants: true },
  { path: "/reports", title: "Reports", file: "reports", icon: "reports", group: "More", key: "r" },
  { path: "/settings", title: "Settings", file: "settings", icon: "settings", group: "More", key: "," },
];

export const routeOf = (path) => routes.find((route) => route.path === path) ?? null;

export const menuFor = (session) => routes.filter((route) => route.group && !(route.ofAllTenants && session.isTenant));
