package fastmar.front;

/** What the handlers of all connections share. The launcher sets it, through {@link Control}. */
final class Front {
    volatile Settings settings = new Settings();
    volatile Served served = new Served();
    volatile boolean draining;
    final Flights flights = new Flights();
    final Connections connections = new Connections();
}
