/**
 * Connect as the page's query says: "url" is where, and "protocols" are the subprotocols to
 * offer, separated by commas.
 */
function connect() {
  const query = new URLSearchParams(location.search);
  const protocols = query.get("protocols");
  return new WebSocket(query.get("url"), protocols ? protocols.split(",") : []);
}
