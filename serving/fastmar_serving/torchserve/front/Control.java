package fastmar.front;

import com.google.gson.Gson;
import io.netty.channel.epoll.Epoll;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The connection to the launcher: a Unix socket with one JSON message per line, each answered by one line with the state.
 *
 * <p>A message has any of {@code settings}, {@code keys}, {@code served} and {@code draining}; an empty message only reads
 * the state. Keys replace those of the same API.
 * The server exits when the launcher closes the connection.
 */
final class Control {
    private static final Gson GSON = new Gson();
    private final Front front;
    private final BufferedReader in;
    private final Writer out;

    private static final class Message {
        Settings settings;
        Map<String, List<String>> keys;
        ServedState served;
        Boolean draining;
    }

    private Control(SocketChannel channel, Front front) {
        this.front = front;
        in = new BufferedReader(Channels.newReader(channel, StandardCharsets.UTF_8));
        out = Channels.newWriter(channel, StandardCharsets.UTF_8);
    }

    static Control connect(Path socket, Front front) throws IOException {
        return new Control(SocketChannel.open(UnixDomainSocketAddress.of(socket)), front);
    }

    /** Apply messages until the launcher closes the connection. */
    void serve() {
        try {
            while (receive()) {}
        } catch (IOException | RuntimeException error) {
            System.err.println("fastmar: invalid message from the launcher: " + error);
        }
        Runtime.getRuntime().halt(1);
    }

    /** Apply one message and reply with the state; false if the connection is closed. */
    boolean receive() throws IOException {
        String line = in.readLine();
        if (line == null) {
            return false;
        }
        Message message = GSON.fromJson(line, Message.class);
        if (message.settings != null) {
            front.settings = message.settings;
        }
        if (message.keys != null) {
            Map<String, Keys> keys = new HashMap<>(front.keys);
            message.keys.forEach((api, accepted) -> keys.put(api, new Keys(accepted)));
            front.keys = keys;
        }
        if (message.served != null) {
            front.served = message.served;
        }
        if (message.draining != null) {
            front.draining = message.draining;
        }
        out.write(GSON.toJson(state()) + "\n");
        out.flush();
        return true;
    }

    private Map<String, Object> state() {
        Map<String, Object> state = new HashMap<>();
        state.put("in_flight", front.requestsInFlight.count());
        state.put("models", front.requestsInFlight.models());
        state.put("connections", front.connections.count());
        state.put("busy_connections", front.connections.busy());
        state.put("takes_sockets", Epoll.isAvailable());
        return state;
    }
}
