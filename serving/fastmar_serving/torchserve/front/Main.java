package fastmar.front;

import java.nio.file.Path;
import java.util.Arrays;
import org.apache.commons.cli.CommandLine;
import org.apache.commons.cli.DefaultParser;
import org.pytorch.serve.metrics.MetricCache;
import org.pytorch.serve.servingsdk.impl.PluginsManager;
import org.pytorch.serve.util.ConfigManager;
import org.pytorch.serve.util.TokenAuthorization;

/**
 * Starts TorchServe 0.12 through its public methods, with our handlers on every connection and without gRPC.
 *
 * <p>Arguments: the launcher's Unix socket, then TorchServe's own arguments.
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        try {
            start(args);
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    private static void start(String[] args) throws Exception {
        Front front = new Front();
        Control control = Control.connect(Path.of(args[0]), front);
        control.receive(); // keys and listeners: nothing is opened before they are known
        control.receive(); // what is served; the launcher has let go of sockets that we can't take over
        String[] rest = Arrays.copyOfRange(args, 1, args.length);
        CommandLine line = new DefaultParser().parse(ConfigManager.Arguments.getOptions(), rest, null, false);
        ConfigManager.init(new ConfigManager.Arguments(line));
        TokenAuthorization.init(); // off in the properties: our handlers compare the keys
        PluginsManager.getInstance().initialize();
        MetricCache.init();
        Thread listener = new Thread(control::serve, "fastmar-control");
        listener.start(); // the launcher asks for the state while models are being unpacked
        new FrontServer(ConfigManager.getInstance(), front).startRESTserver();
    }
}
