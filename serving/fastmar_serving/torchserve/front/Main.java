package fastmar.front;

import io.prometheus.client.Gauge;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.apache.commons.cli.CommandLine;
import org.apache.commons.cli.DefaultParser;
import org.pytorch.serve.metrics.MetricCache;
import org.pytorch.serve.servingsdk.impl.PluginsManager;
import org.pytorch.serve.util.ConfigManager;
import org.pytorch.serve.util.TokenAuthorization;

/**
 * Starts TorchServe 0.12 through its public methods, with the front's handlers on each connection and without gRPC.
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
        control.receive(); // settings and keys: no port is opened before the keys are known
        reportLeftOut(front.settings.leftOut);
        control.receive(); // served models; the launcher has closed its socket if the front can't use it
        String[] rest = Arrays.copyOfRange(args, 1, args.length);
        CommandLine line = new DefaultParser().parse(ConfigManager.Arguments.getOptions(), rest, null, false);
        ConfigManager.init(new ConfigManager.Arguments(line));
        TokenAuthorization.init(); // disabled in the properties: the front compares the keys
        PluginsManager.getInstance().initialize();
        MetricCache.init();
        Thread listener = new Thread(control::serve, "fastmar-control");
        listener.start(); // before startRESTserver, which unpacks models while the launcher reads the state
        new FrontServer(ConfigManager.getInstance(), front).startRESTserver();
    }

    /** A gauge beside TorchServe's own metrics, as the ASGI engine has it. */
    private static void reportLeftOut(List<String> archives) {
        Gauge gauge = Gauge.build("fastmar_archives_left_out", "Archives that are left out.").labelNames("archive").register();
        archives.forEach(archive -> gauge.labels(archive).set(1));
    }
}
