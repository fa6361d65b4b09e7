package fastmar.front;

/** State that the handlers of all connections share. The launcher sets it through {@link Control}. */
final class Front {
    volatile Settings settings = new Settings();
    volatile ServedState served = new ServedState();
    volatile boolean draining;
    final RequestsInFlight requestsInFlight = new RequestsInFlight();
    final Connections connections = new Connections();
}
