// Read only: handsets sign their requests and staff log in elsewhere, so nothing is sent from this page.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  supportedSubmitMethods: [],
  validatorUrl: null,
});
