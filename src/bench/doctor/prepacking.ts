/**
 * Are weights rearranged in every run instead of once, when the model is loaded? Decided by running with prepacked weights.
 */
import { contrastOptions, type Experiment, ruledOut } from './experiment.ts';

export const prepacking: Experiment = {
  name: 'prepacking',
  summary: 'weights that are not rearranged when the model is loaded',
  scope: 'all',
  applies: ({ patients }) =>
    patients.some(({ options }) => options.prepacking === false) || ruledOut('weights are prepacked'),
  run: (context) =>
    contrastOptions(
      context,
      { prepacking: true },
      {
        about: 'prepacking is off',
        without: 'with prepacked weights',
        fix: 'leave out session.disable_prepacking (--no-prepacking); it saves memory and load time only',
      },
    ),
};
