// Shows the document this server answers with.
const text = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const code = "ui-monospace, 'SFMono-Regular', Menlo, Consolas, monospace";
Redoc.init(
  "/api/v1/openapi.json",
  {
    expandResponses: "200",
    jsonSampleExpandLevel: 3,
    pathInMiddlePanel: true,
    sortRequiredPropsFirst: true,
    hideDownloadButtons: false,
    theme: {
      typography: {
        fontFamily: text,
        headings: { fontFamily: text },
        code: { fontFamily: code },
      },
    },
  },
  document.getElementById("docs"),
);
